"""What reviews found that nobody has settled, by the entries concerned: for readers who do not review.

Anybody may write anything among the findings; what is not as it should be is passed over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crdtmem.change import RECORDS
from crdtmem.entry import EntryId
from crdtmem.errors import BadBytes
from crdtmem.fields.field import alive
from crdtmem.fields.records import fold
from crdtmem.taint import FINDINGS

OPEN = ("open", "acknowledged")
MOST_CONCERNED = 50  # entries of one finding


@dataclass(frozen=True, slots=True)
class Finding:
    """What a review found about some entries."""

    id: str
    kind: str
    tier: str
    status: str
    says: str
    about: tuple[Any, ...]


def concerns(state: Any, now: float) -> dict[Any, list[Finding]]:
    """What is open or acknowledged, by the ids of the entries concerned.

    >>> from crdtmem import Replica, review
    >>> memory = Replica("ann").open(tenant="acme")
    >>> _ = memory.set("facts").add("The port of gate-3 is 8080.")
    >>> _ = memory.set("facts").add("The port of gate-3 is 9090.")
    >>> _ = review(memory).file()
    >>> len(concerns(memory._document.state, 0))
    2
    """
    found: dict[Any, list[Finding]] = {}
    field: Any = state.fields.get((RECORDS, FINDINGS))
    for key in sorted(field.held()) if field is not None else ():
        shown = alive(field.live(key), now)
        finding = _finding(key, fold(shown, "latest")) if shown else None
        if finding is not None:
            for id in finding.about:
                found.setdefault(id, []).append(finding)
    return found


def standing(state: Any, now: float) -> Mapping[str, Finding]:
    """The open and acknowledged findings whose entries are all live, by their ids. What is gone is no contradiction.

    >>> from crdtmem import Replica
    >>> standing(Replica("ann").open(tenant="acme")._document.state, 0)
    {}
    """
    found = concerns(state, now)
    live = {entry._id for entry in state.find(set(found))}
    return {one.id: one for some in found.values() for one in some if live.issuperset(one.about)}


def _finding(key: str, value: Any) -> Finding | None:
    if type(value) is not dict or value.get("status") not in OPEN or type(value.get("entries")) is not list:
        return None
    kind, tier, status, says = (str(value.get(name, "")) for name in ("kind", "tier", "status", "says"))
    if not says:
        return None
    ids = tuple(dict.fromkeys(id for text in value["entries"][:MOST_CONCERNED] if (id := _id(text)) is not None))
    return Finding(key, kind, tier, status, says, ids) if ids else None


def _id(text: Any) -> Any:
    try:
        return tuple(EntryId.parse(text))
    except (BadBytes, TypeError):
        return None
