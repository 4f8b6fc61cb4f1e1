"""How a finding stands, worked out in one place for all who show findings. What it means is for the review to say.

1. A finding is a key of records; what is done about it is written under the same key.
2. Of what was written at once the furthest along counts: resolved, acknowledged, open; then the newest.
3. It is there as long as all entries that it names are, and no longer.
4. It is open again when something that an act upon it rests on has fallen or was replaced.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from crdtmem.entry import Entry
from crdtmem.fields.field import alive
from crdtmem.fields.keyed import Keyed

OPEN, ACKNOWLEDGED, RESOLVED = "open", "acknowledged", "resolved"
STATUSES = (OPEN, ACKNOWLEDGED, RESOLVED)  # from the first to the furthest along


def furthest(filed: Iterable[Entry]) -> Entry:
    """Of acts that were written at once, each with a status of these, the one that counts."""
    return max(filed, key=lambda act: (STATUSES.index(act.value["status"]), act.stamp.hlc, act._id))


def rests_on(filed: Entry) -> list[Any]:
    """The ids that must be there for the act to count as it was written."""
    return [] if filed.value["status"] == OPEN else [tuple(id) for id in filed.because]


def status(filed: Entry, here: Collection[Any], tainted: Collection[Any]) -> str:
    """What an act comes to now.

    Args:
        filed: the act that counts.
        here: ids of live entries, of all that matter to it.
        tainted: ids of the entries that rest on what was retracted.
    """
    fallen = filed._id in tainted or any(id not in here for id in rests_on(filed))
    return OPEN if fallen else str(filed.value["status"])


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
