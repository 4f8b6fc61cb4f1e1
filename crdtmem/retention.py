"""Letting go of old changes: by age, by count, or both. What the memory shows stays; how it came about goes.

What is pruned is a prefix of the log as it was applied here, of changes that three checkpoints hold: opening can
always fall back. See pruned.py for what is left of a change.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from crdtmem.checkpoint import KEPT
from crdtmem.store import Record

if TYPE_CHECKING:
    from crdtmem.document import Document

_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class Pruning:
    """What was let go: how many changes, and the size of the store before and after."""

    changes: int
    size_before: int
    size_after: int

    def __str__(self) -> str:
        return f"{self.changes:,} changes pruned: {self.size_before:,} bytes before, {self.size_after:,} after"


def prune(document: Document, before: int | None, keep: int) -> Pruning:
    """Let go of the oldest changes that were stamped before this, as long as so many stay."""
    log, checkpoints = document.log, document.checkpoints
    with checkpoints.making, document.lock:
        size = log.size()
        spare = sum(1 for _ in log.records()) - keep
        if spare <= 0 or not _oldest(document, before, 1):
            return Pruning(0, size, size)
        for _ in range(KEPT):  # three that hold all that is here: whichever of them is damaged, another is not
            checkpoints.make()
        pruned = 0
        while batch := _oldest(document, before, min(spare - pruned, _AT_ONCE)):
            document.state.pruned.add(batch[-1][0], [kept for _, kept in batch])
            newest = {kept.session: kept.seq for _, kept in batch}
            document.audit.prune(newest)
            for session, seq in newest.items():
                log.prune(session, seq)
            pruned += len(batch)
        document.state.forget()
        return Pruning(pruned, size, log.size())


def _oldest(document: Document, before: int | None, count: int) -> list[tuple[int, Record]]:
    found = []
    for place, kept in islice(document.log.since(0), count):
        if before is not None and kept.gist.hlc >= before:
            break
        found.append((place, kept))
    return found
