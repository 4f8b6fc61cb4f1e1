"""What reviews found, and how it stands, by the entries concerned: worked out here for all, whether they review or not.

1. A finding is a key of records; what is done about it is written under the same key.
2. Of what was written at once the furthest along counts: resolved, acknowledged, open; then the newest.
3. It is there as long as all entries that it names are, and no longer.
4. It is open again when something that an act upon it rests on has fallen or was replaced.
5. Anybody may write anything among the findings; what is not as it should be is passed over.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from crdtmem.change import RECORDS
from crdtmem.entry import Entry, EntryId
from crdtmem.errors import BadBytes
from crdtmem.fields.field import alive
from crdtmem.fields.keyed import Keyed
from crdtmem.taint import FINDINGS

OPEN, ACKNOWLEDGED, RESOLVED = "open", "acknowledged", "resolved"
STATUSES = (OPEN, ACKNOWLEDGED, RESOLVED)  # from the first to the furthest along
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


def standing(state: Any, now: float) -> dict[str, Finding]:
    """The open and acknowledged findings, by their ids. The caller holds the lock of the state.

    >>> from crdtmem import Replica, review
    >>> memory = Replica("ann").open(tenant="acme")
    >>> _ = memory.set("facts").add("The port of gate-3 is 8080.")
    >>> _ = memory.set("facts").add("The port of gate-3 is 9090.")
    >>> _ = review(memory).file()
    >>> [one.status for one in standing(memory._document.state, 0).values()]
    ['open']
    """
    return standing_until(state, now)[0]


def standing_until(state: Any, now: float) -> tuple[dict[str, Finding], float]:
    """The same; and when something that it depends on will outlive its time."""
    field: Any = state.fields.get((RECORDS, FINDINGS))
    acts: dict[Entry, Finding] = {}
    for key in sorted(field.held()) if field is not None else ():
        filed = {entry: one for entry in alive(field.live(key), now) if (one := _finding(key, entry.value)) is not None}
        if filed:
            act = furthest(filed)
            acts[act] = filed[act]
    live = here(state, {id for one in acts.values() for id in one.about}.union(*map(rests_on, acts)), now)
    found = {}
    for act, one in acts.items():
        stands = status(act, live, state.taint.tainted)
        if stands != RESOLVED and live.keys() >= set(one.about):
            found[one.id] = replace(one, status=stands)
    return found, min([math.inf, *map(ends, [*acts, *live.values()])])


def by_entry(found: Mapping[str, Finding]) -> dict[Any, list[Finding]]:
    """Findings by the ids of the entries concerned."""
    concerned: dict[Any, list[Finding]] = {}
    for one in found.values():
        for id in one.about:
            concerned.setdefault(id, []).append(one)
    return concerned


def furthest(filed: Iterable[Entry]) -> Entry:
    """Of acts that were written at once, each with a status of these, the one that counts."""
    return max(filed, key=lambda act: (STATUSES.index(act.value["status"]), act.stamp.hlc, act._id))


def rests_on(act: Entry) -> list[Any]:
    """The ids that must be there for the act to count as it was written."""
    return [] if act.value["status"] == OPEN else [tuple(id) for id in act.because]


def status(act: Entry, live: Collection[Any], tainted: Collection[Any]) -> str:
    """What an act comes to now.

    Args:
        act: the one that counts.
        live: ids of live entries, of all that matter to it.
        tainted: ids of the entries that rest on what was retracted.
    """
    fallen = act._id in tainted or any(id not in live for id in rests_on(act))
    return OPEN if fallen else str(act.value["status"])


def here(state: Any, ids: Collection[Any], now: float) -> dict[Any, Entry]:
    """Those of these entries that are live. The caller holds the lock of the state."""
    missing = set(ids) - state.taint.retracted.keys()  # in an append-only field what is retracted stays where it is
    found: dict[Any, Entry] = {}
    for field in list(state.fields.values()):
        if not missing:
            break
        if type(field) is Keyed:
            shown = [field.by_id[id] for id in missing & field.by_id.keys()]
        else:
            shown = [entry for entry in field.entries() if entry._id in missing]
        found |= {entry._id: entry for entry in alive(shown, now)}
        missing -= found.keys()
    return found


def ends(entry: Entry) -> float:
    """The moment at which an entry outlives its time."""
    return math.inf if entry.ttl is None else (entry.stamp.hlc >> 16) / 1000 + entry.ttl


def _finding(key: str, value: Any) -> Finding | None:
    if type(value) is not dict or value.get("status") not in STATUSES or type(value.get("entries")) is not list:
        return None
    kind, tier, told, says = (str(value.get(name, "")) for name in ("kind", "tier", "status", "says"))
    if not says:
        return None
    ids = tuple(dict.fromkeys(id for text in value["entries"][:MOST_CONCERNED] if (id := _id(text)) is not None))
    return Finding(key, kind, tier, told, says, ids) if ids else None


def _id(text: Any) -> Any:
    try:
        return tuple(EntryId.parse(text))
    except (BadBytes, TypeError):
        return None
