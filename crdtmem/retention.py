"""Letting go of old changes: by age, by count, or both. What the memory shows stays; how it came about goes.

What is pruned is a prefix of the log as it was applied here, of changes that three checkpoints hold: opening can
always fall back. See pruned.py for what is left of a change, base.py for what is left of them all. In an owned
namespace only what its owner has settled may go: a cut cannot reach there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from crdtmem import base
from crdtmem.checkpoint import KEPT
from crdtmem.clock import moment
from crdtmem.errors import MisuseError, StoreError
from crdtmem.rebuild import inform
from crdtmem.recovery import fits
from crdtmem.state import State
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
        if document.state.pruned.owed:
            raise StoreError("the history of this memory is still on its way from a peer; prune when it is here")
        size = log.size()
        spare = sum(1 for _ in log.records()) - keep
        settled = _settled(document)
        if spare <= 0 or not _oldest(document, before, 1, settled):
            return Pruning(0, size, size)
        for _ in range(KEPT):  # three that hold all that is here: whichever of them is damaged, another is not
            checkpoints.make()
        _lay_base(document, islice(_going(document, before, settled), spare))
        pruned = 0
        while batch := _oldest(document, before, min(spare - pruned, _AT_ONCE), settled):
            document.state.pruned.add(batch[-1][0], [kept for _, kept in batch], document.state.tails.sights)
            newest = {kept.session: kept.seq for _, kept in batch}
            document.audit.prune(newest)
            for session, seq in newest.items():
                log.prune(session, seq)
            pruned += len(batch)
        return Pruning(pruned, size, log.size())


def planned(document: Document, before: int | None, keep: int) -> tuple[int, int]:
    """What `prune` would let go of: how many changes, and their bytes. Nothing is changed."""
    with document.lock:
        spare = sum(1 for _ in document.log.records()) - keep
        settled = _settled(document)
        sizes = [
            len(kept.core) + len(kept.seal) for _, kept in islice(_going(document, before, settled), max(0, spare))
        ]
        return len(sizes), sum(sizes)


def prunable(document: Document, before: float) -> int:
    """About how many changes could be let go of that were stamped before a moment; finds it in some 20 looks.

    Raises:
        MisuseError: nothing is settled here.
        StoreError: it cannot be pruned now.
    """
    log = document.log
    settled = _settled(document)
    first = next((place for place, _ in log.since(0)), None)
    if first is None:
        return 0
    low, high = first, log.newest + 1  # the first that stays lies between
    while low < high:
        middle = (low + high) // 2
        kept = next(((place, kept) for place, kept in log.since(middle - 1)), None)
        goes = kept is not None and moment(kept[1].gist.hlc).timestamp() < before
        if goes and settled is not None:
            goes = kept[1].seq <= settled.get(kept[1].session, 0)  # type: ignore[index]
        low, high = (middle + 1, high) if goes else (low, middle)
    return low - first


def _settled(document: Document) -> dict[bytes, int] | None:
    """How far each session is settled; None where it need not be."""
    trust = document.state.trust
    if document.state.stale:
        raise StoreError("a cut or a fork still waits for damaged changes; prune when a peer has brought them")
    if trust is None:
        return None
    if not trust.settled:
        raise MisuseError("nothing is settled here; its owner says what no cut will reach: memory.settle(version)")
    return trust.floor()


def _lay_base(document: Document, oldest: Iterable[tuple[int, Record]]) -> None:
    """Keep what these add up to, with those that were pruned before."""
    log, state = document.log, document.state
    try:
        found, place = base.read(log, state) or (State(state.namespace, log, state.owner), 0)
        inform(found, state)
        for at, kept in oldest:
            if at > place:
                change = kept.change
                if not fits(found, change):
                    raise StoreError("what is to be pruned rests on damaged changes; a peer may have them")
                place = at
                found.apply(change, None, at)
        base.write(log, found, place)
    except StoreError:
        if state.trust is not None:
            raise
        base.drop(log)  # an open memory is let go of all the same


def _oldest(
    document: Document, before: int | None, count: int, settled: dict[bytes, int] | None
) -> list[tuple[int, Record]]:
    return list(islice(_going(document, before, settled), count))


def _going(document: Document, before: int | None, settled: dict[bytes, int] | None) -> Iterator[tuple[int, Record]]:
    """The oldest records, as far as they may go."""
    for place, kept in document.log.since(0):
        if before is not None and kept.gist.hlc >= before:
            return
        if settled is not None and kept.seq > settled.get(kept.session, 0):
            return
        yield place, kept
