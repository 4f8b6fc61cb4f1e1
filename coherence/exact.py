"""What cannot be by declaration: siblings, and several values where the charter allows one. No judgement is in it.

A finding of this kind names all rivals together, one entry for each value, oldest first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from crdtmem.change import RECORDS, REGISTER, SEQUENCE, SET
from crdtmem.coherence.charter import Charter
from crdtmem.coherence.clues import Read
from crdtmem.coherence.tokens import NUMBER, Token
from crdtmem.entry import Entry
from crdtmem.fields.field import alive, oldest_first
from crdtmem.fields.records import disagreement
from crdtmem.memory import Memory
from crdtmem.values import key_of

SIBLINGS, SINGLE = "siblings", "single"
RIVALS = 16  # named in one finding


class Clash(NamedTuple):
    """Entries of which at most one can hold."""

    kind: str
    place: str
    entries: tuple[Entry, ...]


def siblings(memory: Memory, charter: Charter, some: Collection[str] | None) -> Iterator[Clash]:
    """Concurrent values of a register, or of a key of records, that differ by more than is allowed."""
    document = memory._document
    found: list[tuple[str, Any, tuple[Entry, ...]]] = []
    with document.lock:
        now, retracted = document.now(), document.state.taint.retracted
        fields: Any = document.state.fields
        for kind, name in sorted(fields):
            if kind not in (REGISTER, RECORDS) or name[0] == "@" or (some is not None and name not in some):
                continue
            field = fields[kind, name]
            for key in sorted(field.forked, key=str):
                standing = [entry for entry in field.live(key) if entry._id not in retracted]
                found.append((name, key, alive(standing, now)))
    for name, key, entries in found:
        rivals = overlapping(disagreement(entries))
        declared = charter.field(name)
        if len(rivals) > 1 and not _agree(rivals, declared.tolerance if declared else 0.0):
            yield Clash(SIBLINGS, name if key is None else f"{name}[{key!r}]", tuple(rivals[:RIVALS]))


def crowded(live: Mapping[tuple[int, str], Mapping[Any, Entry]], charter: Charter) -> Iterator[Clash]:
    """Fields that are declared to hold one value, and hold several."""
    for (kind, name), entries in sorted(live.items()):
        declared = charter.field(name)
        if kind not in (SET, SEQUENCE) or declared is None or not declared.single or len(entries) < 2:
            continue
        first: dict[Any, Entry] = {}
        for entry in oldest_first(entries.values()):
            first.setdefault(key_of(entry._frozen), entry)
        rivals = overlapping(list(first.values()))
        if len(rivals) > 1 and not _agree(rivals, declared.tolerance):
            yield Clash(SINGLE, name, tuple(rivals[:RIVALS]))


def answered(asked: frozenset[str], given: Iterable[tuple[Read, Entry]], charter: Charter) -> Clash | None:
    """Different answers to a question that is declared to have one."""
    declared = charter.of(asked)
    if declared is None or not declared.single:
        return None
    kept: list[tuple[tuple[Token, ...], Entry]] = []
    for read, entry in sorted(given, key=lambda one: (one[1].stamp.hlc, one[1]._id)):
        assert read.said.pair is not None
        answer = read.said.pair[1]
        if all(differ(answer, other, declared.tolerance) for other, _ in kept):
            kept.append((answer, entry))
    rivals = overlapping([entry for _, entry in kept])
    if len(rivals) < 2:
        return None
    return Clash(SINGLE, " ".join(sorted(asked)), tuple(rivals[:RIVALS]))


def differ(one: Sequence[Token], other: Sequence[Token], tolerance: float) -> bool:
    """Whether two answers to one question are different ones."""
    if len(one) == len(other) == 1 and one[0].kind == other[0].kind == NUMBER:
        a, b = one[0].quantity, other[0].quantity
        assert a is not None and b is not None
        return a.unit != b.unit or abs(a.low - b.low) > tolerance
    left, right = ({token.stem for token in side} for side in (one, other))
    return not (left <= right or right <= left)


def overlapping(entries: Sequence[Entry]) -> list[Entry]:
    """Without those whose time of validity meets that of no other."""
    return [one for one in entries if any(other is not one and meet(one, other) for other in entries)]


def meet(one: Entry, other: Entry) -> bool:
    """Whether there is a moment for which both are meant to hold."""
    if one._about is None or other._about is None:
        return True
    (start, end), (begin, stop) = one.valid, other.valid
    apart = (end is not None and begin is not None and end <= begin) or (
        stop is not None and start is not None and stop <= start
    )
    return not apart


def _agree(entries: Sequence[Entry], tolerance: float) -> bool:
    """Whether all are numbers within the tolerance."""
    values = [entry.value for entry in entries]
    if not tolerance or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        return False
    return bool(max(values) - min(values) <= tolerance)
