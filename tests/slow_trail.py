"""What the audit answers for time travel, read off the whole log every time: slow and obvious."""

from collections.abc import Mapping
from typing import Any

from crdtmem.store import Log


class SlowTrail:
    def __init__(self, log: Log) -> None:
        self._log = log

    def removers(self, id: Any) -> Mapping[tuple[int, str], list[tuple[bytes, int]]]:
        found: dict[tuple[int, str], list[tuple[bytes, int]]] = {}
        for kept in self._log.records():
            for part in kept.change.parts:
                if part.kind <= 4 and tuple(id) in map(tuple, part[4]):
                    found.setdefault(part[:2], []).append((kept.session, kept.seq))
        return found

    def touching(self, kind: int, field: str) -> list[tuple[bytes, int]]:
        return [
            (kept.session, kept.seq)
            for kept in self._log.records()
            if any(part[:2] == (kind, field) for part in kept.change.parts)
        ]

    def reached(self, stamp: int) -> dict[bytes, int]:
        first: dict[bytes, int] = {}
        for kept in self._log.records():
            if kept.change.hlc > stamp:
                first[kept.session] = min(kept.seq, first.get(kept.session, kept.seq))
        return {session: seq - 1 for session, seq in first.items()}
