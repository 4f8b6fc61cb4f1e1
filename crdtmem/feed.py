"""A memory as replication sees it: a log that grows, what it holds of each session, and one way in.

What is handed out is sealed first and comes in the order it was applied here, so what a change rests on comes before
it. Nothing here waits, and all of it may be called from any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from hashlib import blake2b
from typing import NamedTuple

from crdtmem import handover, owed, receiving
from crdtmem.change import Version
from crdtmem.clock import moment
from crdtmem.errors import BadBytes, NamespaceError, StoreError
from crdtmem.inbox import Received
from crdtmem.memory import Memory
from crdtmem.quota import Pace
from crdtmem.state import State
from crdtmem.store import Record
from crdtmem.values import encode

ChangeId = tuple[bytes, int]
_KEYS = 4096  # whose pace is remembered


class Pruned(StoreError):
    """What a peer lacks is not kept here any more."""


class Stretch(NamedTuple):
    """Records of a log, in order, and the place up to which they are all there is."""

    upto: int
    records: tuple[Record, ...]


class Arrival(NamedTuple):
    """What came of records that were taken in."""

    received: Received
    trouble: str | None  # why the store did not take them; then all of them wait
    span: tuple[int, int]  # behind the first place, up to the second, lies nothing but what came from the sender
    late: list[ChangeId]  # those of them that wait for others, and are not stored yet
    pause: float  # seconds by which whoever sent them goes too fast, by the quotas of the rules


class Feed:
    """The changes of one memory, out and in.

    Args:
        memory: the memory.

    >>> from crdtmem import Replica
    >>> ann, bob = (Feed(Replica(name).open(tenant="acme")) for name in ("ann", "bob"))
    >>> _ = ann.memory.set("seen").add(1)
    >>> stretch = ann.read(ann.start({}), ann.newest())
    >>> arrival = bob.receive([record.data for record in stretch.records], "ann")
    >>> arrival.received.applied, arrival.late, ann.version == bob.version
    (1, [], True)
    """

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self.namespace = memory.namespace
        self._document = memory._document
        self._version: tuple[Version | None, bytes] = (None, b"")
        self._paces: dict[bytes, Pace] = {}  # of the keys that wrote what came
        self._senders: dict[str, set[bytes]] = {}  # whose changes each of them has handed over

    def steady(self) -> AbstractContextManager[object]:
        """While this is held, nothing changes."""
        return self._document.lock

    @property
    def writable(self) -> bool:
        """Whether it takes changes in."""
        return self._document.log.writable

    @property
    def anew(self) -> int:
        """How often the log has begun anew: no place in it means what it did."""
        return self._document.anew

    @property
    def version(self) -> bytes:
        """A hash of what has been seen: equal here and there when the same changes were."""
        with self._document.lock:
            version = self._document.state.version
            if self._version[0] is not version:
                self._version = (version, blake2b(encode(version.heads), digest_size=16).digest())
            return self._version[1]

    def sessions(self) -> list[tuple[bytes, int, bytes]]:
        """How far each session has come, and how the hash of its last change begins."""
        with self._document.lock:
            return [(id, writer.seq, writer.hash[:8]) for id, writer in self._document.state.sessions.items()]

    def differs(self, id: bytes, seq: int, begins: bytes) -> bool:
        """Whether another change is here than the one whose hash begins so: then the session was forked."""
        document = self._document
        with document.lock:
            known = document.state.sessions.get(id)
            if known is None or not 0 < seq <= known.seq or seq >= document.state.forks.get(id, seq + 1):
                return False
            kept = known if known.seq == seq else document.log.read(id, seq)
            return kept is not None and kept.hash[:8] != begins

    def has(self, id: ChangeId) -> bool:
        """Whether a change has been applied, or is void for good."""
        state = self._document.state
        writer = state.sessions.get(id[0])
        return (writer is not None and writer.seq >= id[1]) or id[1] >= state.forks.get(id[0], id[1] + 1)

    def knows(self, version: Version | str) -> bool:
        """Whether a version is of this memory, and has been reached."""
        with suppress(BadBytes, NamespaceError):
            return self.memory.reached(version)
        return False

    def end(self) -> int:
        """The place of the last record, sealed or not."""
        return self._document.log.newest

    def newest(self) -> int:
        """The place of the last record; what is there is sealed now."""
        return self._document.ready()

    def start(self, known: Mapping[bytes, int]) -> int:
        """The place behind which all lies that somebody lacks who knows each session so far.

        Raises:
            Pruned: some of it is not kept here any more.
        """
        document = self._document
        with document.lock:
            newest = self.newest()
            sessions = document.state.sessions
            lacked = [(id, known.get(id, 0) + 1) for id, writer in sessions.items() if writer.seq > known.get(id, 0)]
            if not lacked:
                return newest
            if self.pruned(lacked):
                raise Pruned("the oldest changes were pruned here; a peer that keeps them can hand them out")
            if document.owed is not None and any(document.log.place_of(*id) is None for id in lacked):
                raise Pruned("the oldest changes are still on their way here")
            if not known:
                return 0
            places = [document.log.place_of(*id) for id in lacked]
            return min([place for place in places if place is not None], default=1) - 1

    def pruned(self, ids: Iterable[ChangeId]) -> bool:
        """Whether some of these changes were here, and are not kept any more."""
        with self._document.lock:
            pruned = self._document.state.pruned
            return pruned.any() and any(pruned.hash(*id) is not None for id in ids)

    def read(self, after: int, upto: int, size: int = 64 * 1024) -> Stretch:
        """The records behind one place, up to another: so many bytes of them, and at least one."""
        found, reached = self._document.between(after, upto, size)
        return Stretch(reached, found)

    def keep_seal(self) -> None:
        """Have stored what was sealed to be handed out; once a second will do."""
        self._document.keep_seal()

    # -- checkpoints, and the history behind them ---------------------------------------------------

    @property
    def key(self) -> bytes:
        """The key that vouches for what is handed over here."""
        return self._document.key

    @property
    def owed(self) -> bool:
        """Whether history is still to come, behind a checkpoint that was taken."""
        return self._document.owed is not None

    def gives(self) -> bool:
        """Whether a checkpoint is to be had here: not while history is to come."""
        return self._sure() and not self.owed

    def takes(self) -> bool:
        """Whether a checkpoint can be taken here."""
        return self._sure() and self.writable

    def _sure(self) -> bool:
        """Whether content is read here, and nothing of it in doubt."""
        state = self._document.state
        return type(state) is State and not state.stale and not state.forks

    def lacked(self, known: Mapping[bytes, int]) -> int:
        """How many changes somebody lacks who knows each session so far."""
        sessions = dict(self._document.state.sessions)
        return sum([max(0, writer.seq - known.get(id, 0)) for id, writer in sessions.items()])

    def hand_over(self) -> Iterator[bytes]:
        """A checkpoint: its bytes, made as they are asked for."""
        return handover.give(self._document)

    def vouch(self, hash: bytes) -> bytes:
        """Sign the hash of what was handed over."""
        return self._document.vouch(hash)

    def take_over(self, data: bytes) -> int:
        """Show a checkpoint that was handed over by somebody who is trusted; how many changes that brought.

        Raises:
            BadBytes: it is none, or of another past.
            StoreError: it could not be kept.
        """
        return handover.take(self._document, data)

    def wanted(self) -> list[ChangeId]:
        """Of which sessions history is still to come, and the newest change of each that is."""
        with self._document.lock:
            return [] if self._document.owed is None else self._document.owed.wanted()

    def older(self, wanted: Mapping[bytes, int], before: int | None, size: int = 256 * 1024) -> tuple[int, list[bytes]]:
        """Records of these sessions up to these seqs, newest first; none when there are no more.

        None either if some of them was never here, or not all of it: what is put before what was lent may rest on it.

        Args:
            wanted: the sessions, and the newest change of each.
            before: the place to go on from, as this gave it last; None at first.
            size: so many bytes of them.
        """
        log = self._document.log
        if before is None:
            owed = self._document.owed is not None
            if not all(self.has(id) and not (owed and log.place_of(id[0], 1) is None) for id in wanted.items()):
                return 0, []
            places = [log.place_of(*id) for id in wanted.items()]
            before = max([place for place in places if place is not None], default=0) + 1
        found: list[bytes] = []
        for place, kept in log.backwards(before):
            if kept.seq <= wanted.get(kept.session, 0):
                size -= len(kept.core)
                if found and size < 0:
                    break
                found.append(kept.data)
            before = place
        return before, found

    def fill(self, records: Sequence[bytes]) -> int:
        """Keep history that has come; how many changes it was.

        Raises:
            BadBytes: it is not what the changes behind it name.
            StoreError: it could not be kept.
        """
        with self._document.lock:
            return 0 if self._document.owed is None else self._document.owed.take(records)

    def prove(self, going: Callable[[], bool] = lambda: True) -> bool:
        """Once all history is here: whether it comes to what the checkpoint showed. Takes 10 us a change."""
        return owed.prove(self._document, going)

    # -- what is missing ---------------------------------------------------------------------------

    def proofs(self) -> list[bytes]:
        """What proves that sessions were forked: records that are handed out though they are void."""
        return self._document.proofs()

    def find(self, ids: Iterable[ChangeId]) -> list[bytes]:
        """Those of these changes that are here."""
        records = [self._document.find(*id) for id in ids]
        return [record.data for record in records if record is not None]

    def receive(self, records: Sequence[bytes], sender: str) -> Arrival:
        """Take records in; without any, try again what the store did not take."""
        document = self._document
        trouble = None
        with document.lock:
            alone = document.waits_only_from(sender)
            before = document.log.newest
            try:
                received = receiving.receive(document, records, sender)
            except StoreError as error:
                trouble = str(error)
                received = Received(0, document.waiting, ())
            after = document.log.newest
            span = (before, after if alone else before)
            late = document.late() if received.waiting else []
            return Arrival(received, trouble, span, late, self._too_fast(before, sender) if after > before else 0.0)

    def _too_fast(self, before: int, sender: str) -> float:
        """By how long what came behind a place came too soon. By the stamps of its writers: history is no flood."""
        trust = self._document.state.trust
        rules = None if trust is None else trust.rules
        if rules is None or (rules.changes_per_minute is None and rules.bytes_per_minute is None):
            return 0.0
        longest = 0.0
        for _, kept in self._document.log.since(before):
            key = self._document.state.sessions[kept.session].key
            self._senders.setdefault(sender, set()).add(key)
            if len(self._paces) >= _KEYS or len(self._senders) >= _KEYS:
                self._paces.clear()
                self._senders.clear()
            pace = self._paces.setdefault(key, Pace())
            at = moment(kept.gist.hlc).timestamp()
            longest = max(longest, pace.owed(rules, now=at, size=len(kept.core)))
        # who also hands on what others wrote is not made to wait: it would be they who wait
        return longest if len(self._senders.get(sender, ())) == 1 else 0.0

    @property
    def waiting(self) -> int:
        """How many changes wait for others."""
        return self._document.waiting

    def missing(self) -> tuple[ChangeId, ...]:
        """What to ask for: what waiting changes rest on, and what is damaged."""
        with self._document.lock:
            return self._document.missing()

    def digest(self) -> tuple[bytes, bytes]:
        """The version, and what the content comes to at it."""
        with self._document.lock:
            return self.version, self._document.state.digest()

    def watch(self, waker: Callable[[], None]) -> Callable[[], None]:
        """Have this called when there is something new, with the memory locked; gives what ends it."""
        return self._document.wake_up(waker)
