"""What a memory holds now, counted: entries, tokens, what is tainted, what is open. One pass; nothing is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crdtmem.change import COUNTER, RECORDS, SEQUENCE, TEXT
from crdtmem.concern import standing
from crdtmem.entry import Entry
from crdtmem.fields.field import alive
from crdtmem.fields.keyed import Keyed
from crdtmem.page import quoted, tokens_of
from crdtmem.taint import FINDINGS

if TYPE_CHECKING:
    from crdtmem.memory import Memory

_LINE = 30  # tokens of a line of a view, beside the value: who, when, which
_LONGEST = 2000  # characters of a value that a view would show
_WEEK = 7 * 86400


@dataclass(slots=True)
class Live:
    """What a memory shows.

    Attributes:
        entries: how many live entries.
        tokens: about how many tokens a view of all of them would take.
        lately: of these, those of entries written in the last seven days.
        tainted: how many rest on what was retracted.
        conflicts: since when each open conflict stands, in seconds since 1970.
        findings: since when each open finding stands.
    """

    entries: int
    tokens: int
    lately: int
    tainted: int
    conflicts: list[float]
    findings: list[float]


def live(memory: Memory) -> Live:
    """Count what a memory holds.

    >>> from crdtmem import Replica
    >>> memory = Replica("ann").open(tenant="acme")
    >>> source = memory.set("sources").add("churn.csv")
    >>> _ = memory.register("brief").assign("churn is 3.1 %", because=[source])
    >>> _ = memory.retract(source, why="last year's file")
    >>> found = live(memory)
    >>> found.entries, found.tainted, found.conflicts
    (1, 1, [])
    """
    document = memory._document
    with document.lock:
        document.usable()
        now = document.now()
        state = document.state
        entries = list(_entries(state, now))
        fallen = {id for id in state.taint.tainted if id not in state.taint.retracted}
        findings = [_since(state, id) for id in standing(state, now)]
        conflicts = [sorted(entry.at.timestamp() for entry in one.entries)[1] for one in memory.conflicts()]
    tokens = lately = 0
    for entry in entries:
        size = _LINE + tokens_of(quoted(entry._frozen, _LONGEST))
        tokens += size
        if (entry.stamp.hlc >> 16) / 1000 > now - _WEEK:
            lately += size
    tainted = sum(entry._id in fallen for entry in entries)
    return Live(len(entries), tokens, lately, tainted, conflicts, findings)


def _entries(state: Any, now: float) -> Iterator[Entry]:
    """Every live entry of a field that is not ours; of a counter one."""
    for (kind, name), field in state.fields.items():
        if name[0] == "@":
            continue
        if type(field) is Keyed:
            found = alive(list(field.by_id.values()), now)
            yield from found[:1] if kind == COUNTER else found
        elif kind == SEQUENCE:
            yield from alive(field.entries(), now)
        elif kind == TEXT:
            yield from alive(field.shares(), now)


def _since(state: Any, id: str) -> float:
    """Since when a finding stands."""
    return min(entry.at.timestamp() for entry in state.fields[RECORDS, FINDINGS].live(id))  # type: ignore[no-any-return]
