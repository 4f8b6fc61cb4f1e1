"""The reference: what a set of changes must add up to, slowly and obviously. It shares no code with crdtmem.

A change is what a writer asked for: operations of the public API, each with what its writer had seen. Everything is
recomputed from all changes of a view, in one fixed order; nothing is kept up to date, so there is little to get wrong.

- Keyed fields: a write lives until a write or removal *that had seen it* replaces it. A merge replaces single
  sub-keys only. In a block, writes to one key are one write, resting on what the block saw at the first of them.
- Ordered fields: an edit is the list the writer saw and the list it left. A unit (value or code point) stands between
  the one it follows and the next one its writer's replica held, gone or not; YATA orders concurrent ones, one at a
  time. Which unit a run follows is free where nobody sees it, so the model takes that from the change, and checks that
  the list left is the list asked for.
- A move shows an entry elsewhere; of several places the one moved to last (hlc, then session) shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

ChangeId = tuple[bytes, int]
View = frozenset[ChangeId]
EntryKey = tuple[ChangeId, int, int]  # change, operation, value

DRAFT: ChangeId = (b"draft", 0)


class Refused(Exception):
    """The call is wrong: the name of the error it raises."""

    def __init__(self, error: str) -> None:
        super().__init__(error)
        self.error = error


@dataclass(frozen=True)
class Op:
    """One call: the kind of its field, what it does, and what its writer had seen."""

    kind: str
    verb: str
    field: str
    args: tuple[Any, ...]
    saw: View
    seen: View | None = None  # the version named with seen=
    why: str | None = None

    @property
    def key(self) -> Any:
        """What it writes to, within its field."""
        return canon(self.args[0]) if self.kind == "set" else self.args[0] if self.kind == "records" else None


@dataclass(frozen=True)
class Change:
    """The operations of one author that hold together."""

    id: ChangeId
    client: int
    hlc: float
    by: str
    why: str | None
    past: View
    ops: tuple[Op, ...]
    origins: dict[tuple[str, str], tuple[Any, ...]] = field(default_factory=dict, compare=False)

    @property
    def rank(self) -> tuple[float, bytes, int]:
        """Later writes rank higher."""
        return (self.hlc, *self.id)


@dataclass
class Write:
    """A value written under a key; a patch gives single sub-keys."""

    id: EntryKey
    change: Change
    kind: str
    field: str
    key: Any
    value: Any
    why: str | None
    patch: bool = False
    covered: set[str] = field(default_factory=set)  # sub-keys that a later merge gives


@dataclass(frozen=True)
class Kill:
    """What a change replaces: all that it saw under a key, or of that the given sub-keys."""

    kind: str
    field: str
    key: Any
    saw: View
    subs: frozenset[str] | None = None


@dataclass(frozen=True)
class Unit:
    """One value or code point of an ordered field, and the two it was put between."""

    id: tuple[ChangeId, int]
    client: int
    left: tuple[ChangeId, int] | None
    right: tuple[ChangeId, int] | None
    value: Any
    entry: EntryKey
    moved: tuple[float, bytes] | None = None
    clock: int = 0

    @property
    def width(self) -> int:
        """How many clocks it takes: a code point beyond the sixteen bits takes two."""
        return 2 if isinstance(self.value, str) and self.entry[2] < 0 and self.value > "\uffff" else 1

    @property
    def places(self) -> tuple[tuple[int, int], ...]:
        """How a change names it: as the left neighbour by its last clock, as the right one by its first."""
        return ((self.client, self.clock), (self.client, self.clock + self.width - 1))


@dataclass
class Cell:
    """A place in the list a writer is editing: a unit that stood there, or something new."""

    value: Any
    entry: EntryKey
    unit: Unit | None = None
    moved: bool = False


class History:
    """All changes there are, and what any part of them adds up to."""

    def __init__(self) -> None:
        self.changes: dict[ChangeId, Change] = {}
        self._edits: dict[Any, tuple[list[Unit], set[Any]]] = {}
        self._orders: dict[Any, tuple[list[Unit], set[Any]]] = {}

    def add(self, change: Change) -> None:
        """Take note of a change."""
        self.changes[change.id] = change

    def heads(self, view: View) -> set[ChangeId]:
        """The changes of a view that none of it builds on."""
        return set(view).difference(*(self.changes[id].past for id in view))

    def _in_order(self, view: Iterable[ChangeId], draft: Change | None = None) -> list[Change]:
        found = sorted((self.changes[id] for id in view), key=lambda c: (len(c.past), c.id))
        return found if draft is None else [*found, draft]

    # -- keyed fields ------------------------------------------------------------------------------

    def live(self, view: View, draft: Change | None = None) -> list[Write]:
        """The writes that no other one has replaced; oldest first."""
        writes: list[Write] = []
        kills: list[Kill] = []
        for change in self._in_order(view, draft):
            came, went = keyed_effect(change)
            writes += came
            kills += went
        found: list[Write] = []
        for write in writes:
            dead = False
            for kill in kills:
                same = (kill.kind, kill.field, kill.key) == (write.kind, write.field, write.key)
                if same and write.change.id in kill.saw:
                    if kill.subs is None:
                        dead = True
                    elif isinstance(write.value, dict):
                        write.covered |= kill.subs & write.value.keys()
            if write.patch and write.covered == write.value.keys():
                dead = True
            if not dead:
                found.append(write)
        return sorted(found, key=lambda w: (w.change.rank, w.id))

    def total(self, name: str, view: View, draft: Change | None = None) -> int:
        """What a counter shows."""
        return sum(
            op.args[0]
            for change in self._in_order(view, draft)
            for op in change.ops
            if (op.kind, op.field) == ("counter", name)
        )

    # -- ordered fields ----------------------------------------------------------------------------

    def shown(self, kind: str, name: str, view: View) -> list[Unit]:
        """The units a reader sees."""
        order, dead = self._order(kind, name, view)
        standing = [unit for unit in order if unit.id not in dead]
        best: dict[EntryKey, Unit] = {}
        if kind == "text":
            return standing
        for unit in standing:
            other = best.get(unit.entry)
            if other is None or (unit.moved or (-1,)) > (other.moved or (-1,)):
                best[unit.entry] = unit
        return [unit for unit in standing if best[unit.entry] is unit]

    def _order(self, kind: str, name: str, view: View) -> tuple[list[Unit], set[Any]]:
        touching = [c for c in self._in_order(view) if any((op.kind, op.field) == (kind, name) for op in c.ops)]
        key = (kind, name, tuple(c.id for c in touching))
        if key not in self._orders:
            order: list[Unit] = []
            dead: set[Any] = set()
            for change in touching:
                fresh, gone = self._edit(kind, name, change)
                for unit in fresh:
                    integrate(order, unit)
                dead |= gone
            self._orders[key] = (order, dead)
        return self._orders[key]

    def cells(self, kind: str, name: str, change: Change) -> tuple[list[Cell], list[Unit]]:
        """The list the writer left, and what it had found."""
        ops = [(i, op) for i, op in enumerate(change.ops) if (op.kind, op.field) == (kind, name)]
        stood = self.shown(kind, name, ops[0][1].saw)
        cells = [Cell(unit.value, unit.entry, unit) for unit in stood]
        for i, op in ops:
            edit_list(cells, op, (change.id, i))
        return cells, stood

    def _edit(self, kind: str, name: str, change: Change) -> tuple[list[Unit], set[Any]]:
        """The units a change adds, in their order of integration, and the ids of those it takes out."""
        key = (kind, name, change.id)
        if key in self._edits:
            return self._edits[key]
        cells, stood = self.cells(kind, name, change)
        kept = {id(cell.unit) for cell in cells if cell.unit}
        out = [unit for unit in stood if id(unit) not in kept]
        gone = {unit.id for unit in out}
        if kind == "sequence":  # an entry goes wherever its writer knew it to stand
            entries = {unit.entry for unit in out}
            saw = next(op.saw for op in change.ops if (op.kind, op.field) == (kind, name))
            order, dead = self._order(kind, name, saw)
            gone |= {unit.id for unit in order if unit.id not in dead and unit.entry in entries}
        asked = [cell for moved in (False, True) for cell in cells if cell.unit is None and cell.moved == moved]
        wrote = change.origins.get((kind, name), ())
        assert sum(count for _, count in wrote) == len(asked), "what was written is not what was asked"
        full = list(self._order(kind, name, change.past)[0])  # as its replica held it: what is gone keeps its place
        clock = sum(unit.width for unit in full if unit.client == change.client)
        named = {place: unit.id for unit in full for place in unit.places}
        fresh: list[Unit] = []
        ids: dict[int, tuple[ChangeId, int]] = {id(cell): cell.unit.id for cell in cells if cell.unit}
        for left, count in wrote:
            before = named.get(left)
            assert (left is None) == (before is None), "an origin nobody knows"
            at = [unit.id for unit in full].index(before) + 1 if before else 0
            after = full[at].id if at < len(full) else None
            for cell in asked[len(fresh) : len(fresh) + count]:
                unit = Unit(
                    (change.id, len(fresh)),
                    change.client,
                    before,
                    after,
                    cell.value,
                    cell.entry,
                    (change.hlc, change.id[0]) if cell.moved else None,
                    clock,
                )
                ids[id(cell)] = before = unit.id
                named |= dict.fromkeys(unit.places, unit.id)
                clock += unit.width
                full.insert(at, unit)
                fresh.append(unit)
                at += 1
        stands = {unit.id: at for at, unit in enumerate(full)}
        left_behind = [stands[ids[id(cell)]] for cell in cells]
        assert left_behind == sorted(left_behind), "what was written does not stand where it was put"
        self._edits[key] = (fresh, gone)
        return fresh, gone

    # -- what readers see --------------------------------------------------------------------------

    def content(self, view: View) -> dict[tuple[str, str], Any]:
        """What every field shows, with who wrote it and why; fields that hold nothing are left out."""
        found: dict[tuple[str, str], Any] = {}
        for place, writes in grouped(self.live(view)).items():
            found[place] = CONTENT[place[0]](writes)
        for kind, name in self._fields(view):
            if kind == "counter":
                found[kind, name] = self.total(name, view)
            elif kind == "sequence":
                units = self.shown(kind, name, view)
                found[kind, name] = [(unit.entry, canon(unit.value), self._by(unit), self._why(unit)) for unit in units]
            elif kind == "text":
                units = self.shown(kind, name, view)
                found[kind, name] = [(unit.value, unit.entry[0], self._by(unit), self._why(unit)) for unit in units]
        return {place: content for place, content in found.items() if content}

    def _by(self, unit: Unit) -> str:
        return self.changes[unit.entry[0]].by

    def _why(self, unit: Unit) -> str | None:
        change = self.changes[unit.entry[0]]
        return change.ops[unit.entry[1]].why or change.why

    def values(self, view: View, draft: Change | None = None) -> dict[tuple[str, str], Any]:
        """What every field reads, without authors. A draft sees what it touched as it was, the rest as it is."""
        ops = draft.ops if draft else ()
        touched = {(op.kind, op.field, op.key): op.saw for op in reversed(ops) if op.kind in CONTENT}
        writes = [w for w in self.live(view) if (w.kind, w.field, w.key) not in touched]
        for place, saw in touched.items():
            writes += [w for w in self.live(saw, draft) if (w.kind, w.field, w.key) == place]
        found: dict[tuple[str, str], Any] = {}
        for place, some in grouped(sorted(writes, key=lambda w: (w.change.rank, w.id))).items():
            if place[0] == "set":
                found[place] = set(set_content(some))
            elif place[0] == "register":
                found[place] = canon(some[-1].value)
            else:
                found[place] = {key: record[0] for key, record in records_content(some).items()}
        for kind, name in {*self._fields(view), *((op.kind, op.field) for op in ops)}:
            mine = draft is not None and any((op.kind, op.field) == (kind, name) for op in ops)
            if kind == "counter":
                found[kind, name] = self.total(name, view, draft)
            elif kind in ("sequence", "text"):
                units = self.cells(kind, name, draft)[0] if mine else self.shown(kind, name, view)
                read = [unit.value if kind == "text" else canon(unit.value) for unit in units]
                found[kind, name] = "".join(read) if kind == "text" else read
        return {place: content for place, content in found.items() if content}

    def conflicts(self, view: View) -> set[tuple[str, Any, frozenset[EntryKey]]]:
        """The entries that cannot all hold, by field and key."""
        found = set()
        for (kind, name), writes in grouped(self.live(view)).items():
            for key in {w.key for w in writes} if kind in ("register", "records") else ():
                rivals = rivalry([w for w in writes if w.key == key])
                if rivals:
                    found.add((name, key, frozenset(rivals)))
        return found

    def outcome(self, view: View, draft: Change) -> Any:
        """What the last operation of a draft returns, as far as it is plain data.

        Raises:
            Refused: it is refused.
        """
        op = draft.ops[-1]
        before = replace(draft, ops=draft.ops[:-1])
        if op.kind in ("sequence", "text"):
            cells = [Cell(unit.value, unit.entry, unit) for unit in self.shown(op.kind, op.field, op.saw)]
            answer: Any = None
            for i, other in enumerate(draft.ops):
                if (other.kind, other.field) == (op.kind, op.field):
                    answer = edit_list(cells, other, (draft.id, i))
            return answer
        if op.kind == "counter":
            return None
        writes = [w for w in self.live(op.saw, before) if (w.kind, w.field, w.key) == (op.kind, op.field, op.key)]
        if op.verb in ("discard", "clear", "delete"):
            return bool(writes)
        whole = op.verb == "merge" and any(not w.patch for w in writes)
        if whole and not isinstance(record_value(writes), dict):
            raise Refused("ValueRefused")
        return None

    def idle(self, draft: Change) -> bool:
        """Whether all of a draft comes to nothing."""
        writes, kills = keyed_effect(draft)
        saw = frozenset().union(*(kill.saw for kill in kills))
        victims = {(w.kind, w.field, w.key) for w in self.live(saw) if w.change.id in saw}
        if writes or any((kill.kind, kill.field, kill.key) in victims for kill in kills):
            return False
        for kind, name in {(op.kind, op.field) for op in draft.ops if op.kind in ("sequence", "text")}:
            cells, stood = self.cells(kind, name, draft)
            if [cell.unit for cell in cells] != stood:
                return False
        return not any(op.kind == "counter" for op in draft.ops)

    def _fields(self, view: View) -> set[tuple[str, str]]:
        return {
            (op.kind, op.field)
            for change in self._in_order(view)
            for op in change.ops
            if op.kind in ("counter", "sequence", "text")
        }


# -- keyed fields ----------------------------------------------------------------------------------


def keyed_effect(change: Change) -> tuple[list[Write], list[Kill]]:
    """The writes a change leaves, and what it replaces."""
    staged: dict[Any, Write] = {}
    kills: list[Kill] = []
    for i, op in enumerate(change.ops):
        if op.kind not in CONTENT:
            continue
        place = (op.kind, op.field, op.key)
        mine = staged.get(place)
        saw = op.saw if op.seen is None else op.saw & op.seen
        made = Write((change.id, i, 0), change, *place, None, op.why or change.why)
        if op.verb != "merge":
            kills.append(Kill(*place, saw))
            staged.pop(place, None)
        elif mine is None or mine.patch:
            kills.append(Kill(*place, saw, frozenset(op.args[1])))
        if op.verb in ("add", "assign"):
            staged[place] = replace(made, value=op.args[0])
        elif op.verb == "put":
            staged[place] = replace(made, value=op.args[1])
        elif op.verb == "merge" and mine is None:
            staged[place] = replace(made, value=dict(op.args[1]), patch=True)
        elif op.verb == "merge" and mine is not None:
            staged[place] = replace(mine, value={**mine.value, **op.args[1]}, why=made.why or mine.why)
    return list(staged.values()), kills


def grouped(writes: list[Write]) -> dict[tuple[str, str], list[Write]]:
    """By kind and field."""
    found: dict[tuple[str, str], list[Write]] = {}
    for write in writes:
        found.setdefault((write.kind, write.field), []).append(write)
    return found


def set_content(writes: list[Write]) -> dict[Any, Any]:
    """Of equal values, the newest speaks."""
    return {canon(w.value): (w.id, w.change.by, w.why) for w in writes}


def register_content(writes: list[Write]) -> list[Any]:
    """The siblings, oldest first; the last is the value."""
    return [(w.id, canon(w.value), w.change.by, w.why) for w in writes]


def records_content(writes: list[Write]) -> dict[str, Any]:
    """For each key its value, and the writes it comes from."""
    keys = dict.fromkeys(w.key for w in writes)
    found = {}
    for key in keys:
        some = [w for w in writes if w.key == key]
        found[key] = (canon(record_value(some)), [(w.id, w.change.by, w.why) for w in some])
    return found


def record_value(writes: list[Write]) -> Any:
    """The newest whole value, with what patches give to single sub-keys; the newest claim to a sub-key holds."""
    wholes = [w for w in writes if not w.patch]
    patches = [w for w in writes if w.patch]
    chosen = wholes[-1] if wholes else None
    if not patches:
        return chosen.value if chosen else None
    if chosen and not isinstance(chosen.value, dict):
        if not writes[-1].patch:
            return writes[-1].value
        chosen = None
    value = dict(chosen.value) if chosen else {}
    for name in {name for w in patches for name in w.value}:
        claims = [w for w in writes if (w.patch or w is chosen) and name in w.value and name not in w.covered]
        if any(w.patch for w in claims):
            value[name] = claims[-1].value[name]
    return value


CONTENT: dict[str, Callable[[list[Write]], Any]] = {
    "set": set_content,
    "register": register_content,
    "records": records_content,
}


def rivalry(writes: list[Write]) -> set[EntryKey]:
    """Those of one key that cannot all hold."""
    wholes = [w for w in writes if not w.patch]
    if len(wholes) < len(writes) and not all(isinstance(w.value, dict) for w in wholes):
        return {w.id for w in writes}
    rivals = {w.id for w in wholes} if len({canon(w.value) for w in wholes}) > 1 else set()
    if any(w.patch for w in writes):
        dicts = [w for w in writes if isinstance(w.value, dict)]
        for name in {name for w in dicts for name in w.value}:
            claims = [w for w in dicts if name in w.value and name not in w.covered]
            if len({canon(w.value[name]) for w in claims}) > 1:
                rivals |= {w.id for w in claims}
    return rivals


# -- ordered fields --------------------------------------------------------------------------------


def edit_list(cells: list[Cell], op: Op, name: tuple[ChangeId, int]) -> Any:
    """Carry out one call on the list its writer sees; return what the call does, as far as it is plain data."""
    size = len(cells)
    if op.verb == "look":
        return None
    if op.kind == "text":
        if op.verb == "insert":
            at = size if op.args[0] is None else _place(op.args[0], size)
            cells[at:at] = [Cell(char, (*name, -1)) for char in op.args[1]]
            return None
        if op.verb == "delete":
            start, end = _place(op.args[0], size), size if op.args[1] is None else _place(op.args[1], size)
            gone = "".join(cell.value for cell in cells[start:end])
            del cells[start : max(start, end)]
            return gone
        old, new = op.args
        text = "".join(cell.value for cell in cells)
        found = [at for at in range(size) if text.startswith(old, at)]
        if len(found) != 1:
            raise Refused("AmbiguousMatch" if found else "NoMatch")
        cells[found[0] : found[0] + len(old)] = [Cell(char, (*name, -1)) for char in new]
        return None
    if op.verb == "insert":
        at = size if op.args[0] is None else max(0, op.args[0] + size) if op.args[0] < 0 else min(op.args[0], size)
        cells[at:at] = [Cell(value, (*name, j)) for j, value in enumerate(op.args[1])]
        return None
    at = _find(cells, op.args[0])
    if op.verb == "remove":
        return canon(cells.pop(at).value)
    if op.verb == "replace":
        cells[at] = Cell(op.args[1], (*name, 0))
        return None
    to = op.args[1] + size if op.args[1] < 0 else op.args[1]
    if not 0 <= to < size:
        raise Refused("IndexError")
    if to != at:
        cell = cells.pop(at)
        fresh = cell.unit is None and not cell.moved
        cells.insert(to, Cell(cell.value, cell.entry, moved=not fresh))
    return None


def _place(index: int, size: int) -> int:
    at = index + size if index < 0 else index
    if not 0 <= at <= size:
        raise Refused("IndexError")
    return at


def _find(cells: list[Cell], target: Any) -> int:
    if isinstance(target, int):
        at = target + len(cells) if target < 0 else target
        if not 0 <= at < len(cells):
            raise Refused("IndexError")
        return at
    for at, cell in enumerate(cells):
        if cell.entry == target:
            return at
    raise Refused("KeyError")


def integrate(order: list[Unit], unit: Unit) -> None:
    """Put a unit where YATA puts it: the integration of Yjs, on a plain list.

    From its left origin on, walk to its right origin. Of units with the same left origin the lower client stands
    first; a unit whose origin lies before ours ends the walk.
    """
    place = {other.id: at for at, other in enumerate(order)}
    at = place[unit.left] + 1 if unit.left else 0
    end = place[unit.right] if unit.right else len(order)
    target = at
    before: set[Any] = set()
    conflicting: set[Any] = set()
    while at < end:
        other = order[at]
        before.add(other.id)
        conflicting.add(other.id)
        if other.left == unit.left:
            if other.client < unit.client:
                target = at + 1
                conflicting.clear()
            elif other.right == unit.right:
                break
        elif other.left is not None and other.left in before:
            if other.left not in conflicting:
                target = at + 1
                conflicting.clear()
        else:
            break
        at += 1
    order.insert(target, unit)


# -- values ----------------------------------------------------------------------------------------


def canon(value: Any) -> Any:
    """What two values share exactly when they are equal: 1, 1.0 and True are three."""
    if isinstance(value, list | tuple):
        return ("list", tuple(canon(item) for item in value))
    if isinstance(value, dict):
        return ("dict", tuple((key, canon(value[key])) for key in sorted(value)))
    return (type(value).__name__, repr(value))
