"""What differs between two states of one memory, field by field: the entries that came, and those that went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from crdtmem.change import KINDS, TEXT
from crdtmem.entry import Entry
from crdtmem.fields.keyed import Keyed


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs in one field between two versions: the entries that only the later one has, and the earlier one."""

    field: str
    kind: str
    added: tuple[Entry, ...]
    removed: tuple[Entry, ...]

    def __str__(self) -> str:
        lines = [f"{self.kind} {self.field}"]
        lines += [f"  - {_told(entry)}" for entry in self.removed]
        lines += [f"  + {_told(entry)}" for entry in self.added]
        return "\n".join(lines)


def _told(entry: Entry) -> str:
    key = f"[{entry.key!r}] " if type(entry.key) is str and entry.key != entry._frozen else ""
    why = f" ({entry.why})" if entry.why else ""
    return f"{key}{entry.value!r:.100} by {entry.by}{why}"


def differences(before: Any, after: Any) -> list[Difference]:
    """What differs between two states of one memory, field by field."""
    found = []
    for kind, name in sorted(dict.fromkeys([*before.fields, *after.fields])):
        old, new = _entries(before, kind, name), _entries(after, kind, name)
        added = tuple(entry for key, entry in new.items() if key not in old)
        removed = tuple(entry for key, entry in old.items() if key not in new)
        if name[0] != "@" and (added or removed):
            found.append(Difference(name, KINDS[kind], added, removed))
    return found


def shown(state: Any) -> dict[tuple[int, str], dict[Any, Entry]]:
    """What each field shows, the reserved ones left out."""
    return {at: _entries(state, *at) for at in list(state.fields) if at[1][0] != "@"}


def _entries(state: Any, kind: int, name: str) -> dict[Any, Entry]:
    field = state.fields.get((kind, name))
    if type(field) is Keyed:
        return dict(field.by_id)
    if field is None:
        return {}
    if kind == TEXT:
        shares: dict[Any, list[Entry]] = {}
        for entry in field.shares():
            shares.setdefault((entry._id, entry._frozen), []).append(entry)
        return {(*what, nth): entry for what, some in shares.items() for nth, entry in enumerate(some)}
    return {entry._id: entry for entry in field.entries()}
