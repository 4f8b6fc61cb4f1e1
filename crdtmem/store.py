"""Where the log of changes is kept: a small protocol, and a store in memory.

The log is the truth; everything else is derived from it. A store keeps the records of each namespace in the order
they were applied, with the seals beside them, and one `append` is one commit (invariant 1).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from msgspec.msgpack import Decoder

from crdtmem.change import Change, decode
from crdtmem.change import record as joined
from crdtmem.errors import StoreError
from crdtmem.namespace import Namespace
from crdtmem.values import encode

if TYPE_CHECKING:
    from crdtmem.sqlite import Connection


class Record(NamedTuple):
    """One change as it is kept: its name, its bytes without the seal, and the seal or b""."""

    session: bytes
    seq: int
    hash: bytes
    core: bytes
    seal: bytes

    @property
    def change(self) -> Change:
        """The change, decoded. What was kept has been checked before."""
        return decode(joined(self.core, self.seal), known=self.hash)

    @property
    def gist(self) -> Change:
        """The change without the digests of its parts: for who asks what it says, and does not apply it."""
        return decode(joined(self.core, self.seal), known=self.hash, digests=False)

    @property
    def data(self) -> bytes:
        """The bytes to hand to another replica."""
        return joined(self.core, self.seal)


class Damage(NamedTuple):
    """What a store found broken. It was set aside and is never served; a change is asked for again from a peer."""

    reason: str
    session: bytes | None = None
    seq: int | None = None


class Log(Protocol):
    """The records of one namespace, and a shelf of named blobs for what is derived from them.

    A record has a place, a number above 0 that grows with every record kept. What is found broken is skipped, never
    served, and listed in `damage`. The memory of the namespace serialises the calls.
    """

    def append(self, records: Sequence[Record]) -> None:
        """Keep these records, all or none.

        Raises:
            StoreError: none was kept.
        """

    def mend(self, record: Record) -> None:
        """Put a record back where a broken one was.

        Raises:
            StoreError: it is not broken.
        """

    def seal(self, session: bytes, seq: int, seal: bytes) -> None:
        """Put a seal beside a record.

        Raises:
            StoreError: there is no such record.
        """

    def prune(self, session: bytes, upto: int) -> None:
        """Forget the oldest records of a session, up to this seq; the next to be kept is the same as before."""

    def cut(self, session: bytes, first: int) -> None:
        """Forget the newest records of a session, from this seq on; the next to be kept is that one.

        It reaches no deeper than `prune` has: what was pruned is not to be kept again.
        """

    def adopt(
        self, sessions: Mapping[bytes, int], room: int, blobs: Mapping[str, bytes | None], records: Sequence[Record]
    ) -> None:
        """Forget all records and begin behind a checkpoint; all of it happens or nothing.

        Args:
            sessions: how far each has come there; what is kept of it next is what follows.
            room: so many places are left for what `fill` brings.
            blobs: to be kept under these names; None drops one. The others stay.
            records: to be kept first, as by `append`.

        Raises:
            StoreError: nothing happened.
        """

    def fill(self, records: Sequence[Record]) -> None:
        """Keep these in front of all others, all or none: the newest first, each before the oldest of its session.

        Raises:
            StoreError: none was kept.
        """

    def records(self) -> Iterator[Record]:
        """All records, in the order of their append."""

    def backwards(self, before: int | None = None) -> Iterator[tuple[int, Record]]:
        """All records, or those before a place, each with its own, the newest first."""

    def since(self, place: int) -> Iterator[tuple[int, Record]]:
        """The records behind a place, each with its own, in the order of their append."""

    def read(self, session: bytes, seq: int) -> Record | None:
        """One record."""

    def place_of(self, session: bytes, seq: int) -> int | None:
        """Where a record lies, be it broken; None if it never was here, or was pruned."""

    def put(self, name: str, data: bytes) -> None:
        """Keep a blob under a name, in place of what was there."""

    def get(self, name: str) -> bytes | None:
        """The blob of that name, or None."""

    def drop(self, name: str) -> None:
        """Forget a blob, if it is there."""

    def names(self) -> list[str]:
        """The names of all blobs, sorted."""

    def index(self) -> Connection:
        """A database for tables derived from the records; it may come back empty.

        The same one each time, and this log's own; other logs of the store may share its tables, so its transactions
        are short, and begin with BEGIN IMMEDIATE: apsw's own `with` keeps the GIL while it waits for the other.
        """

    @property
    def newest(self) -> int:
        """The place of the newest record; 0 when nothing was ever kept."""

    @property
    def damage(self) -> Sequence[Damage]:
        """What was found broken since this log was opened, and has not been mended."""

    @property
    def writable(self) -> bool:
        """Whether it takes records."""

    def size(self) -> int:
        """How many bytes it takes, about."""


class Store(Protocol):
    """Where the logs of a replica are kept."""

    def open(self, namespace: Namespace) -> Log:
        """The log of a namespace, empty if nothing was kept."""

    def close(self) -> None:
        """Let go of what is held; closing twice does nothing."""


class MemoryStore:
    """A store that lives as long as the object. Handed to a second replica, it is what a restart would find.

    >>> from crdtmem import Replica
    >>> store = MemoryStore()
    >>> with Replica("ann", store=store) as replica:
    ...     _ = replica.open(tenant="acme").set("seen").add("a")
    >>> sorted(Replica("ann", store=store).open(tenant="acme").set("seen"))
    ['a']
    """

    def __init__(self) -> None:
        self._logs: dict[Namespace, _MemoryLog] = {}

    def open(self, namespace: Namespace) -> Log:
        """The log of a namespace, empty if nothing was kept."""
        return self._logs.setdefault(namespace, _MemoryLog())

    def close(self) -> None:
        """Nothing is held."""


class _MemoryLog:
    """Each record as its bytes: they take two thirds of its room, and nothing of the garbage collector's time."""

    __slots__ = ("_blobs", "_chains", "_index", "_records")

    damage: Sequence[Damage] = ()
    writable = True

    def __init__(self) -> None:
        self._records: list[bytes | None] = []  # None where one was removed
        self._chains: dict[bytes, _Chain] = {}
        self._blobs: dict[str, bytes] = {}
        self._index: Connection | None = None

    def append(self, records: Sequence[Record]) -> None:
        chains, log = self._chains, self._records
        size = len(log)
        if len(records) == 1:
            [record] = records
            chain = chains.get(record[0])
            if chain is not None and record[1] == chain.removed + len(chain.places) + 1:
                log += (encode(records)[1:],)  # without a call, after which Ctrl-C could come between these two
                chain.places.append(size)
                return
        for record in records:
            chain = chains.get(record[0])
            if chain is None:
                chain = chains[record[0]] = _Chain()
            if record[1] != chain.removed + len(chain.places) + 1:
                for kept in filter(None, log[size:]):
                    chains[_decode(kept)[0]].places.pop()
                del log[size:]
                raise StoreError(f"record {record[1]} of a session does not follow the one before")
            place, data = len(log), encode((record,))[1:]  # what the encoder gives has room to spare, a slice has none
            log += (data,)
            chain.places.append(place)

    def mend(self, record: Record) -> None:
        raise StoreError("nothing is broken here")

    def adopt(
        self, sessions: Mapping[bytes, int], room: int, blobs: Mapping[str, bytes | None], records: Sequence[Record]
    ) -> None:
        fresh = _MemoryLog()
        fresh._records = [None] * room
        fresh._chains = {session: _Chain(seq) for session, seq in sessions.items()}
        fresh.append(records)
        self._records, self._chains = fresh._records, fresh._chains
        self._blobs = {name: data for name, data in {**self._blobs, **blobs}.items() if data is not None}

    def fill(self, records: Sequence[Record]) -> None:
        place = next((place for place, kept in enumerate(self._records, 1) if kept), len(self._records) + 1)
        older: dict[bytes, list[int]] = {}
        for record in records:
            place -= 1
            chain = self._chains.get(record.session, _Chain())
            places = older.setdefault(record.session, [])
            if place < 1 or not 0 < record.seq == chain.removed - len(places):
                raise StoreError(f"record {record.seq} of a session does not come before the oldest one")
            places.append(place - 1)
        for session, places in older.items():
            chain = self._chains[session]
            chain.places[:0] = array("Q", reversed(places))
            chain.removed -= len(places)
        for at, record in enumerate(reversed(records), place - 1 if records else 0):
            self._records[at] = encode(record)

    def seal(self, session: bytes, seq: int, seal: bytes) -> None:
        kept = self.read(session, seq)
        if kept is None:
            raise StoreError(f"there is no record {seq} of that session to be sealed")
        chain = self._chains[session]
        self._records[chain.places[seq - 1 - chain.removed]] = encode(kept._replace(seal=seal))

    @property
    def newest(self) -> int:
        return len(self._records)

    def prune(self, session: bytes, upto: int) -> None:
        chain = self._chains.get(session, _Chain())
        gone = max(upto - chain.removed, 0)
        self._forget(chain.places[:gone])
        chain.removed += len(chain.places[:gone])
        del chain.places[:gone]

    def cut(self, session: bytes, first: int) -> None:
        chain = self._chains.get(session, _Chain())
        left = max(first - 1 - chain.removed, 0)
        self._forget(chain.places[left:])
        del chain.places[left:]

    def _forget(self, places: Iterable[int]) -> None:
        for place in places:
            self._records[place] = None

    def records(self) -> Iterator[Record]:
        return map(_decode, filter(None, self._records[:]))

    def backwards(self, before: int | None = None) -> Iterator[tuple[int, Record]]:
        records = self._records
        places = range(len(records) if before is None else before - 1, 0, -1)
        return ((place, _decode(kept)) for place in places if (kept := records[place - 1]))

    def since(self, place: int) -> Iterator[tuple[int, Record]]:
        return ((at, _decode(kept)) for at, kept in enumerate(self._records[place:], place + 1) if kept)

    def read(self, session: bytes, seq: int) -> Record | None:
        place = self.place_of(session, seq)
        kept = None if place is None else self._records[place - 1]
        return None if kept is None else _decode(kept)

    def place_of(self, session: bytes, seq: int) -> int | None:
        chain = self._chains.get(session)
        if chain is None or not 0 < seq - chain.removed <= len(chain.places):
            return None
        return chain.places[seq - 1 - chain.removed] + 1

    def put(self, name: str, data: bytes) -> None:
        self._blobs[name] = data

    def get(self, name: str) -> bytes | None:
        return self._blobs.get(name)

    def drop(self, name: str) -> None:
        self._blobs.pop(name, None)

    def names(self) -> list[str]:
        return sorted(self._blobs)

    def index(self) -> Connection:
        if self._index is None:
            from crdtmem.sqlite import scratch

            self._index = scratch()
        return self._index

    def size(self) -> int:
        return sum([len(kept.core) for kept in self.records()]) + sum(map(len, self._blobs.values()))


class _Chain:
    __slots__ = ("places", "removed")

    def __init__(self, removed: int = 0) -> None:
        self.places = array("Q")  # of its records in the log
        self.removed = removed  # its oldest records, which were removed


_decode = Decoder(Record).decode
