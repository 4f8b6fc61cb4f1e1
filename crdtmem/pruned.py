"""What is left of pruned changes: which they were and what they had seen, without what they said.

Some 30 bytes a change keep every verdict as it is on replicas that pruned nothing: whether a late change continues
the chain it names, and which units its author had seen. They are read when such a change comes, and not before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec.msgpack import Decoder

from crdtmem.store import Log, Record
from crdtmem.values import encode

FOLDER = "pruned/"
OWED = "owed"  # on the shelf while history is to come (owed.py)
_HASH = 16  # bytes of each hash: nobody finds another change with the same ones
_read = Decoder(tuple[list[bytes], list[tuple[int, int, bytes, list[tuple[int, int]]]]]).decode


class Husk(NamedTuple):
    """A pruned change: its name, the beginning of its hash, and what it had seen last of others."""

    session: bytes
    seq: int
    hash: bytes
    deps: tuple[tuple[bytes, int], ...]

    @property
    def gist(self) -> Husk:
        """Itself, where all that is asked of a change is what it had seen."""
        return self


def named(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Of which changes this is what is left."""
    sessions, rows = _read(data)
    for session, seq, _, _ in rows:
        yield sessions[session], seq


class Pruned:
    """The pruned changes of one log."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self.owed = OWED in log.names()  # whether changes are missing that are still to come
        self._known: list[tuple[int, Husk]] | None = None
        self._hashes: dict[tuple[bytes, int], bytes] = {}

    def any(self) -> bool:
        """Whether anything was pruned."""
        return any(name.startswith(FOLDER) for name in self._log.names())

    def _husks(self) -> list[tuple[int, Husk]]:
        """All of them in the order they were applied, each with the place of one that came no sooner."""
        if self._known is None:
            self._known = []
            for name in self._log.names():
                if name.startswith(FOLDER):
                    sessions, rows = _read(self._log.get(name) or encode(([], [])))
                    for session, seq, hash, deps in rows:
                        seen = tuple([(sessions[number], upto) for number, upto in deps])
                        place = int(name.removeprefix(FOLDER))
                        self._known.append((place, Husk(sessions[session], seq, hash, seen)))
            self._hashes = {husk[:2]: husk.hash for _, husk in self._known}
        return self._known

    def hash(self, session: bytes, seq: int) -> bytes | None:
        """How the hash of a pruned change begins, or None."""
        self._husks()
        return self._hashes.get((session, seq))

    def backwards(self) -> Iterator[tuple[int, Husk]]:
        """All of them, newest first, each with a place in the log that it does not lie behind."""
        return reversed(self._husks())

    def add(
        self, place: int, records: Sequence[Record], sights: Mapping[tuple[bytes, int], Sequence[tuple[bytes, int]]]
    ) -> None:
        """Keep what is left of these, the oldest in the log, before they are forgotten.

        Args:
            place: of the newest of them.
            records: all of them.
            sights: what some had seen besides what they name.
        """
        numbers: dict[bytes, int] = {}
        rows = []
        for kept in records:
            seen: list[Any] = [*kept.gist.deps, *sights.get((kept.session, kept.seq), ())]
            deps = [(numbers.setdefault(dep[0], len(numbers)), dep[1]) for dep in seen]
            rows.append((numbers.setdefault(kept.session, len(numbers)), kept.seq, kept.hash[:_HASH], deps))
        self._log.put(f"{FOLDER}{place:016}", encode((list(numbers), rows)))
        self._known = None
