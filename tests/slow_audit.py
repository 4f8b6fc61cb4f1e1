"""What the audit must tell, by a slow fold over the whole log: every unit and entry is kept, nothing is looked up.

It shares no code with the audit. From crdtmem it takes the decoded changes in the order they were applied, who opened
each session, and which parts are void.
"""

from __future__ import annotations

from typing import Any

from crdtmem import Memory
from crdtmem.entry import EntryId
from crdtmem.values import key_of, thaw

NAMES = {1: "set", 2: "counter", 3: "register", 4: "records", 5: "sequence", 6: "text"}
SHIFT = 1 << 20
VERDICTS = {"@retracted": ("retracted", "reinstated"), "@affirmed": ("affirmed", "disowned")}


class Fold:
    def __init__(self, memory: Memory) -> None:
        self.state = memory._document.state
        self.entries: dict[Any, tuple[int, str, Any, Any]] = {}  # id -> kind, field, key, value
        self.units: dict[Any, tuple[Any, Any]] = {}  # (kind, field, client, clock) -> entry, what it is
        self.next: dict[Any, int] = {}  # (kind, field, client) -> clock
        self.totals: dict[Any, int] = {}
        self.events: list[Any] = []

    def apply(self, change: Any) -> None:
        for number, part in enumerate(change.parts):
            self.change, self.number, self.part = change, number, part
            if part[0] >= 5:
                self.ordered(void=number in self.state.voids.get((change.session, change.seq), {}))
            else:
                self.keyed()

    def tell(self, action: str, id: Any, value: Any, *, via: Any = None, about: Any = None, key: Any = None) -> None:
        change, part = self.change, self.part
        kind, field = part[:2]
        if id in self.entries:
            kind, field, key = self.entries[id][:3]
        writer = self.state.sessions[change.session]
        by, role = change.actor or (writer.agent, writer.role)
        about = about or part.about or ()
        why, because, confidence, tags, source = (list(about) + [None] * 7)[:5]
        causes = tuple(EntryId(*id) for id in because or ())
        said = (by, role, why, causes, tags or (), confidence, source or "agent")
        rank = (change.hlc, change.session, change.seq, self.number)
        self.events.append((rank, action, NAMES[kind], field, key if kind == 4 else None, id, via, value, said))

    def keyed(self) -> None:
        change, part = self.change, self.part
        base = self.number * SHIFT
        ids = [(change.session, change.seq, base + i) for i in range(len(part.adds))]
        heirs: dict[Any, tuple[Any, Any]] = {}
        verdict = VERDICTS.get(part.field) if part.kind == 4 else None
        for id, add in zip(ids, part.adds, strict=True):
            about = add[1] if len(add) > 1 else None
            value = thaw(add[0])
            if part.kind == 2 and len(add) > 2:
                self.tell("undone", tuple(add[2]), value, via=id, about=about)
                continue
            if part.kind == 2:
                at = (part.field, change.session)
                value, self.totals[at] = value - self.totals.get(at, 0), value
            slot = key_of(add[0]) if part.kind == 1 else add[2] if part.kind == 4 else None
            heirs[slot] = (id, about)
            self.entries[id] = (part.kind, part.field, slot, value)
            if verdict:
                target = tuple(EntryId.parse(add[2]))
                self.tell(verdict[0], target, self.entries[target][3], via=id, about=about)
            else:
                self.tell("added", id, value, about=about)
        for id in part.removes:
            slot = self.entries[id][2]
            if verdict and slot not in heirs:
                target = tuple(EntryId.parse(slot))
                self.tell(verdict[1], target, self.entries[target][3], via=id)
            elif not verdict:
                heir, about = heirs.get(slot, (None, None))
                self.tell("superseded" if heir else "removed", id, self.entries[id][3], via=heir, about=about)

    def ordered(self, *, void: bool) -> None:
        change, part = self.change, self.part
        client = self.state.sessions[change.session].client
        place = self.number * SHIFT
        if void:
            self.tell("voided", None, None)
        gone: dict[Any, list[Any]] = {}
        for other, clock, length in () if void else part.deletes:
            for unit in range(clock, clock + length):
                id, what = self.units[(*part[:2], other, unit)]
                gone.setdefault(id, []).append(what)
        for run in part.runs:
            for content in [run[1]] if part.kind == 6 else run[1]:
                id = (change.session, change.seq, place)
                place += 1
                if not void:
                    self.entries[id] = (part.kind, part.field, None, thaw(content))
                    self.tell("added", id, thaw(content), about=run[2] if len(run) > 2 else None)
                for char in content if part.kind == 6 else [None]:
                    self.unit(client, id, char)
                    if char and char > "\uffff":
                        self.unit(client, id, "")
        moved = [tuple(id) for _, id in part.moves]
        for id in moved:
            self.unit(client, id, None)
        if void:
            return
        for id, what in gone.items():
            if id not in moved:
                self.tell("removed", id, "".join(what) if part.kind == 6 else self.entries[id][3])
        for id in moved:
            self.tell("moved", id, self.entries[id][3])

    def unit(self, client: int, id: Any, what: Any) -> None:
        at = (*self.part[:2], client)
        clock = self.next.get(at, 0)
        self.units[(*at, clock)] = (id, what)
        self.next[at] = clock + 1


def told(memory: Memory) -> list[Any]:
    """All events of a memory, in the order of the timeline."""
    fold = Fold(memory)
    for kept in memory._document.log.records():
        fold.apply(kept.change)
    return sorted(fold.events, key=lambda event: event[0])
