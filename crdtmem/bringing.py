"""Taking in an archive: into an empty memory, which becomes the same one, or into one that has something of its own.

Each change enters by the door, as if a peer had brought it, so an archive can lie about nothing that is sealed. Where
many sessions wrote side by side under sparse seals, more would have to wait than the door lets one sender leave there;
then the archive is read again, with a room for each session, as often as something comes of it. What was brought
stays, also when it is interrupted: bringing it again goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from crdtmem.archive import Archive, Path, Progress
from crdtmem.change import decode
from crdtmem.errors import BadBytes, MisuseError, NamespaceError, StoreError
from crdtmem.feed import Feed
from crdtmem.identity import fingerprint
from crdtmem.inbox import Refusal

if TYPE_CHECKING:
    from crdtmem.memory import Memory

_HEAP = 4 << 20  # bytes


class Brought(NamedTuple):
    """What came of an archive: how many changes were new here, and how many it holds."""

    changes: int
    of: int


def bring(
    memory: Memory,
    archive: Archive | Path,
    *,
    trust: Iterable[bytes] = (),
    progress: Progress = lambda done, total: None,
) -> Brought:
    """Take in all changes of an archive; what is here already stays, and is merged with them.

    Args:
        memory: a memory of the same namespace, empty or not.
        archive: the archive, or its file.
        trust: the keys of those whose checkpoint counts, where the memory was pruned; besides our own, and the owner's.
        progress: called now and then with how many changes were read, and how many there are.

    Raises:
        BadBytes: the file is no archive or not whole; or it holds what cannot be taken in. The message says what.
        MisuseError: it holds a checkpoint of somebody who is not trusted.
        StoreError: the store does not take what came. What it took before stays.

    >>> from crdtmem import Replica
    >>> from crdtmem.archive import save
    >>> ann, bob = Replica("ann").open(tenant="acme"), Replica("bob").open(tenant="acme")
    >>> _ = ann.set("facts").add("churn is 4.7 %"), bob.set("facts").add("price is 12 EUR")
    >>> _ = save(ann, "ann.archive")
    >>> bring(bob, "ann.archive"), sorted(bob.set("facts"))
    (Brought(changes=1, of=1), ['churn is 4.7 %', 'price is 12 EUR'])
    """
    found = archive if isinstance(archive, Archive) else Archive(archive)
    if found.contents.namespace != memory.namespace:
        raise NamespaceError(
            f"{found.path} is of {found.contents.namespace!r}, and this memory is {memory.namespace!r}"
        )
    return _Bringing(memory, found, frozenset(trust), progress).run()


class _Bringing:
    def __init__(self, memory: Memory, archive: Archive, trust: frozenset[bytes], progress: Progress) -> None:
        self._memory = memory
        self._archive = archive
        self._contents = archive.contents
        self._trust = trust
        self._progress = progress
        self._refused: Refusal | None = None

    def run(self) -> Brought:
        feed, contents = Feed(self._memory), self._contents
        came = 0
        with self._archive.opened() as file:
            begun = bool(feed.sessions())
            if not contents.pruned or begun:
                came += self._changes(file)
            if contents.pruned and not self._there():
                came += self._checkpoint(feed, file)
        if not self._there():
            raise BadBytes(f"{self._archive.path}: not all of it could be taken in: {self._why()}")
        version, digest = self._memory.version, self._memory.digest()
        if version == contents.version and digest != contents.digest:
            raise BadBytes(f"{self._archive.path}: the same changes show something else here than where it was made")
        return Brought(came, contents.changes)

    def _there(self) -> bool:
        return self._memory.reached(self._contents.version)

    def _why(self) -> str:
        if self._refused is not None:
            return self._refused.reason
        waiting = self._memory._document.waiting
        return f"{waiting} changes wait for others, which are not in it" if waiting else "changes are missing in it"

    def _changes(self, file: BinaryIO) -> int:
        """All changes, by the door; how many were new."""
        came = self._read(file, by_session=False)
        while not self._there():
            more = self._read(file, by_session=True)
            came += more
            if not more:
                break
        return came

    def _read(self, file: BinaryIO, *, by_session: bool) -> int:
        came = read = 0
        pieces = self._archive.pieces(file, self._archive.places)
        for records in _heaps(pieces) if by_session else pieces:
            for sender, some in _by_session(records) if by_session else [("archive", records)]:
                received = self._memory.receive(some, sender=sender)
                came += received.applied
                if received.refused and self._refused is None:
                    self._refused = received.refused[0]
            read += len(records)
            self._progress(min(read, self._contents.changes), self._contents.changes)
        return came

    def _checkpoint(self, feed: Feed, file: BinaryIO) -> int:
        """What pruned changes came to, and then the changes behind them, newest first, each named by the next."""
        key = self._contents.key
        owner = self._memory.namespace.owner
        if key != feed.key and key not in self._trust and fingerprint(key) != owner:
            raise MisuseError(
                f"{self._archive.path} is of a pruned memory, so it holds a checkpoint that nobody can verify: "
                f"if you trust whoever made it, say so: trust=[bytes.fromhex('{key.hex()}')]"
            )
        came = feed.take_over(self._archive.checkpoint(file))
        read = 0
        for records in self._archive.pieces(file, reversed(self._archive.places)):
            feed.fill(records[::-1])
            read += len(records)
            self._progress(read, self._contents.changes)
        feed.prove()
        if feed.owed:
            raise StoreError(
                f"{self._archive.path}: its history does not come to its checkpoint; what is shown is not proved"
            )
        return came


def _heaps(pieces: Iterable[list[bytes]]) -> Iterator[list[bytes]]:
    """Many pieces as one: the more there is at a time, the less often all that waits is looked through."""
    heap: list[bytes] = []
    size = 0
    for records in pieces:
        heap += records
        size += sum(map(len, records))
        if size > _HEAP:
            yield heap
            heap, size = [], 0
    yield heap


def _by_session(records: list[bytes]) -> Iterator[tuple[str, list[bytes]]]:
    """The records of each session, with a sender of its own."""
    sessions: dict[bytes, list[bytes]] = {}
    for data in records:
        sessions.setdefault(decode(data).session, []).append(data)
    for session, some in sessions.items():
        yield f"archive {session.hex()}", some
