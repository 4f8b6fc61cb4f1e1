"""A memory as one file: all its changes with their seals, from which anybody can make the same memory again.

    archive = MAGIC, piece ...        piece = length (4 bytes), kind (1 byte), msgpack

    BEGIN, (CHECKPOINT ...), CHANGES ..., PROOFS ..., HEADS ..., END

1. Its end says what it comes to: how many changes, which version, which digest, the sum of all bytes, and a seal over
   them. A file is checked as a whole before anything of it is used.
2. Changes stand in the order they were applied, under the seals of their authors. Nothing else is needed to trust them.
3. Of a memory that was pruned a checkpoint stands in front (handover.py), for what the pruned changes came to.
4. Whoever writes or reads one holds a piece of it at a time; a checkpoint, and the heads, whole.

`bringing` takes one in.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

from msgspec import DecodeError, Meta, ValidationError
from msgspec.msgpack import Decoder

from crdtmem import handover
from crdtmem.change import MAX_CHANGE, Head, Version
from crdtmem.clock import MAX_STAMP, moment
from crdtmem.errors import BadBytes, MisuseError, StoreError
from crdtmem.feed import Feed
from crdtmem.identity import Identity, verify
from crdtmem.namespace import LABELS, Namespace
from crdtmem.past import Pinned
from crdtmem.store import Record
from crdtmem.values import encode
from crdtmem.whole import whole

if TYPE_CHECKING:
    from crdtmem.memory import Memory

MAGIC = b"crdtmem archive\n"
FORMAT = 1
BEGIN, CHECKPOINT, CHANGES, PROOFS, HEADS, END = range(6)
MAX_PIECE = MAX_CHANGE + (128 << 10)
MAX_CHECKPOINT = 1 << 30
MAX_HEADS = 1 << 20
_PIECE, _RECORDS = 64 << 10, 4096  # a piece of changes has about so many bytes, and at most so many of them
_PERSON = b"crdtmem archive"
Progress = Callable[[int, int], object]
Path = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class Contents:
    """What an archive holds: of which memory, as of which version, made by whom and when.

    `pruned` says whether its oldest changes had been let go of; `key` is that of who vouches for the file.
    """

    namespace: Namespace
    agent: str
    at: datetime
    changes: int
    version: Version
    digest: str
    key: bytes
    pruned: bool
    size: int


def save(
    memory: Memory, path: Path, *, identity: Identity | None = None, progress: Progress = lambda done, total: None
) -> Contents:
    """Write all changes of a memory to a file, as of now; the memory goes on meanwhile.

    Args:
        memory: the memory.
        path: the file; it is there once it is whole.
        identity: the key that seals what is not sealed yet, for who only reads the store of another process; by default
            that of the replica.
        progress: called now and then with how many changes are written, and how many there are.

    Raises:
        StoreError: changes are damaged, or still on their way, or not sealed.

    >>> from crdtmem import Replica
    >>> memory = Replica("ann").open(tenant="acme")
    >>> _ = memory.set("facts").add("churn is 4.7 %", why="CRM export")
    >>> made = save(memory, "acme.archive")
    >>> copy = Replica("bob").open(Archive("acme.archive").contents.namespace)
    >>> from crdtmem.bringing import bring
    >>> bring(copy, "acme.archive").changes, copy.digest() == made.digest, copy.version == made.version
    (1, True, True)
    """
    document = memory._document
    if isinstance(document, Pinned):
        raise MisuseError("an archive holds all of a memory; give it the memory itself, not one pinned by at()")
    with document.checkpoints.making, whole(path) as file:  # nothing is pruned meanwhile
        return _Writer(memory, identity, progress).write(file)


class _Writer:
    """Writes one archive: of what was there when it began."""

    def __init__(self, memory: Memory, identity: Identity | None, progress: Progress) -> None:
        self._memory = memory
        self._document = document = memory._document
        self._key = document.key if identity is None else identity.key
        self._sign = document.vouch if identity is None else identity.sign
        self._progress = progress
        self._sum = blake2b(MAGIC, digest_size=32, person=_PERSON)
        self._size = len(MAGIC)
        self._seen: dict[bytes, int] = {}

    def write(self, file: BinaryIO) -> Contents:
        document = self._document
        with document.lock:
            document.usable()
            state, log = document.state, document.log
            pruned = state.pruned.any()
            if state.pruned.owed:
                raise StoreError("the history of this memory is still on its way from a peer; wait until it is here")
            if pruned and not Feed(self._memory).gives():
                raise StoreError("this memory was pruned, and holds forked sessions: copy its file instead")
            if log.writable:
                document.flush()
            given = handover.give(document) if pruned else iter(())
            self._last = {id: writer.seq for id, writer in state.sessions.items()}
            version, digest, newest = state.version, state.digest(), log.newest
            proofs, hlc = document.proofs(), document.stamp()
            total = state.count
        file.write(MAGIC)
        namespace = document.namespace
        labels = [getattr(namespace, label) for label in LABELS]
        self._put(file, BEGIN, (FORMAT, labels, namespace.owner, hlc, self._memory.agent))
        for data in given:
            for at in range(0, len(data), _PIECE):
                self._put(file, CHECKPOINT, data[at : at + _PIECE])
        count = 0
        for records in _batches(self._records(newest)):
            self._put(file, CHANGES, records)
            count += len(records)
            self._progress(count, total)
        self._whole()
        for records in _batches(iter(proofs)):
            self._put(file, PROOFS, records)
        for first in range(0, len(version.heads), _RECORDS):
            self._put(file, HEADS, version.heads[first : first + _RECORDS])
        self._sum.update(encode((count, digest, self._key)))
        sum = self._sum.digest()
        self._put(file, END, (count, digest, self._key, sum, self._sign(sum)))
        made = moment(hlc)
        return Contents(
            namespace, self._memory.agent, made, count, version, digest.hex(), self._key, pruned, self._size
        )

    def _put(self, file: BinaryIO, kind: int, content: Any) -> None:
        body = encode(content)
        data = len(body).to_bytes(4, "big") + bytes([kind]) + body
        if kind != END:
            self._sum.update(data)
        self._size += len(data)
        file.write(data)

    def _records(self, newest: int) -> Iterator[bytes]:
        """What was there, in order, sealed."""
        pruned, forks = self._document.state.pruned, self._document.state.forks
        for place, kept in self._document.log.since(0):
            if place > newest:
                return
            id, seq = kept.session, kept.seq
            last = self._last.get(id, 0)
            if seq > last:  # a reader finds what was written since it began
                continue
            before = self._seen.get(id, 0)
            if seq != before + 1 and (before or not pruned.hash(id, seq - 1)):
                self._torn()
            self._seen[id] = seq
            if not kept.seal and seq == last:
                kept = self._sealed(kept, needed=id not in forks)
            yield kept.data

    def _sealed(self, kept: Record, *, needed: bool) -> Record:
        writer = self._document.state.sessions[kept.session]
        if writer.key == self._key:
            return kept._replace(seal=self._sign(kept.hash))
        if needed:
            raise StoreError(
                f"the newest changes of {writer.agent!r} are not sealed yet, and nobody could take them in: make the "
                "archive in the process that writes them, or with the key that lies beside its file (identity=)"
            )
        return kept

    def _whole(self) -> None:
        """See that nothing was missing at the end of a session."""
        pruned = self._document.state.pruned
        for id, last in self._last.items():
            if self._seen.get(id, 0) != last and (id in self._seen or not pruned.hash(id, last)):
                self._torn()

    def _torn(self) -> None:
        raise StoreError(
            "changes of this memory are damaged, so no archive of it would be whole: let a peer bring them back, or "
            "save what it shows as JSON lines (crdtmem.lines)"
        )


def _batches(records: Iterator[bytes]) -> Iterator[list[bytes]]:
    found: list[bytes] = []
    size = 0
    for data in records:
        if found and (size + len(data) > _PIECE or len(found) == _RECORDS):
            yield found
            found, size = [], 0
        found.append(data)
        size += len(data)
    if found:
        yield found


class Archive:
    """An archive in a file, found whole.

    Args:
        path: the file.

    Raises:
        BadBytes: it is no archive, a newer one, or not whole; the message says which, and where.

    >>> from crdtmem import Replica
    >>> _ = save(Replica("ann").open(tenant="acme"), "empty.archive")
    >>> found = Archive("empty.archive").contents
    >>> found.namespace, found.agent, found.changes
    (Namespace(tenant='acme'), 'ann', 0)
    """

    def __init__(self, path: Path) -> None:
        self.path = os.fspath(path)
        self.places = array("Q")  # where the pieces with changes and proofs begin
        with self.opened() as file:
            self.contents = self._checked(file)

    @contextmanager
    def opened(self) -> Iterator[BinaryIO]:
        """The file, to be read."""
        with open(self.path, "rb") as file:
            if not file.seekable():
                raise MisuseError(f"{self.path} is a pipe; an archive is read more than once: save it to a file first")
            yield file

    def _checked(self, file: BinaryIO) -> Contents:
        if file.read(len(MAGIC)) != MAGIC:
            raise BadBytes(f"{self.path} is not an archive of crdtmem")
        sum = blake2b(MAGIC, digest_size=32, person=_PERSON)
        namespace = agent = at = None
        given = count = kind = 0
        heads: list[Head] = []
        while True:
            place, before = file.tell(), kind
            head, kind, content = self._next(file)
            if kind < before or (kind == BEGIN) != (namespace is None):
                raise self._broken(place, "pieces in another order than there may be")
            if kind == BEGIN:
                namespace, agent, at = self._began(content, place)
            elif kind == END:
                if file.read(1):
                    raise self._broken(place, "something stands behind its end")
                sum.update(encode(content[:3]))
                if sum.digest() != content[3] or not verify(content[2], content[4], content[3]):
                    raise self._broken(place, "what it comes to is not what its end says")
                if content[0] != count:
                    raise self._broken(place, f"it holds {count} changes, and its end speaks of {content[0]}")
                break
            elif kind == CHECKPOINT:
                given += len(content)
            elif kind == HEADS:
                heads += [Head(*one) for one in content]
            else:
                self.places.append(place)
                count += len(content) if kind == CHANGES else 0
            if given > MAX_CHECKPOINT or len(heads) > MAX_HEADS:
                raise self._broken(place, "a checkpoint, or a version, that is larger than there can be")
            sum.update(head)
        assert namespace is not None and agent is not None and at is not None
        version = Version(namespace.digest, tuple(heads))
        key, digest = content[2], content[1].hex()
        return Contents(namespace, agent, at, count, version, digest, key, given > 0, file.tell())

    def _began(self, content: Any, place: int) -> tuple[Namespace, str, datetime]:
        _, labels, owner, hlc, agent = content
        try:
            return Namespace(**dict(zip(LABELS, labels, strict=True)), owner=owner), agent, moment(hlc)
        except ValueError as error:  # not six labels, or none that can be
            raise self._broken(place, str(error)) from None

    def _next(self, file: BinaryIO) -> tuple[bytes, int, Any]:
        """The piece that follows: its bytes, its kind, and what it says."""
        place = file.tell()
        head = file.read(5)
        size = int.from_bytes(head[:4], "big")
        if len(head) == 5 and size > MAX_PIECE:
            raise self._broken(place, "a piece that is larger than there can be")
        body = file.read(size) if len(head) == 5 else b""
        if len(head) < 5 or len(body) < size:
            raise self._broken(place, "it ends too soon; was it copied whole?")
        try:
            if head[4] == BEGIN:
                told = _ANY(body)
                if type(told) is list and told and type(told[0]) is int and told[0] > FORMAT:
                    raise BadBytes(
                        f"{self.path} is an archive of format {told[0]}, of a newer crdtmem; this one reads formats "
                        f"up to {FORMAT}. Upgrade this program"
                    )
            return head + body, head[4], _PIECES[head[4]](body)
        except (DecodeError, ValidationError, IndexError, RecursionError, UnicodeDecodeError):
            raise self._broken(place, "a piece that cannot be read") from None

    def _broken(self, place: int, what: str) -> BadBytes:
        return BadBytes(f"{self.path} is not a whole archive: at byte {place:,}, {what}. Nothing of it was used")

    def pieces(self, file: BinaryIO, places: Iterable[int]) -> Iterator[list[bytes]]:
        """The records of some of its pieces."""
        for place in places:
            file.seek(place)
            yield self._next(file)[2]

    def checkpoint(self, file: BinaryIO) -> bytes:
        """The checkpoint of a pruned memory, as handover.py reads it."""
        file.seek(len(MAGIC))
        self._next(file)
        found = bytearray()
        while True:
            _, kind, content = self._next(file)
            if kind != CHECKPOINT:
                return bytes(found)
            found += content


_Key = Annotated[bytes, Meta(min_length=32, max_length=32)]
_Count = Annotated[int, Meta(ge=0, lt=2**53)]
_Stamp = Annotated[int, Meta(ge=0, le=MAX_STAMP)]
_Some = Annotated[list[bytes], Meta(max_length=_RECORDS)]
_Heads = Annotated[
    list[tuple[Annotated[bytes, Meta(min_length=16, max_length=16)], Annotated[int, Meta(gt=0, lt=2**53)], _Key]],
    Meta(max_length=_RECORDS),
]
_ANY = Decoder().decode
_PIECES: list[Callable[[bytes], Any]] = [
    Decoder(tuple[int, Annotated[list[str | None], Meta(max_length=6)], str | None, _Stamp, str]).decode,
    Decoder(bytes).decode,
    Decoder(_Some).decode,
    Decoder(_Some).decode,
    Decoder(_Heads).decode,
    Decoder(tuple[_Count, bytes, _Key, _Key, bytes]).decode,
]
