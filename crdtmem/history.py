"""Taking back: retract, affirm, undo, restore. Each writes one attributed change, or none.

Nothing is ever taken out of history. To go back is to go on: what has come since is removed, what has gone since is
written again, resting on the entry that stood there. A retraction is an entry of its own; see taint.py for what
falls with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from contextlib import contextmanager, nullcontext
from itertools import groupby
from math import inf
from typing import TYPE_CHECKING, Any

from crdtmem import asof
from crdtmem.change import COUNTER, PART_SHIFT, RECORDS, SEQUENCE, TEXT
from crdtmem.draft import Draft, Fresh, KeyedDraft, OrderedDraft
from crdtmem.entry import About, Entry, EntryId, about
from crdtmem.errors import MisuseError, ValueRefused
from crdtmem.fields.keyed import Keyed
from crdtmem.fields.ordered import Ordered, shown_by
from crdtmem.fields.records import fold
from crdtmem.past import PastState
from crdtmem.state import State
from crdtmem.taint import AFFIRMED, RETRACTED
from crdtmem.values import MAX_INT, MIN_INT, freeze

if TYPE_CHECKING:
    from crdtmem.memory import Memory

Id = tuple[bytes, int, int]
_PLACE = (1 << PART_SHIFT) - 1


# -- retraction ------------------------------------------------------------------------------------


def retract(memory: Memory, entry: Entry | EntryId | str, why: str) -> Entry:
    """Take an entry out of its field, and say so; what rests on it is tainted."""
    id = known(memory, entry)
    kind, name, amount = _origin(memory, id)
    with writing(memory, why) as (draft, said):
        _take_out(draft, memory._document.state, kind, name, id, amount, said)
        return _note(draft, RETRACTED, id, None, said)


def affirm(memory: Memory, entry: Entry | EntryId | str, why: str) -> Entry:
    """Say that a tainted entry holds all the same; a later retraction taints it again."""
    state, id = memory._document.state, known(memory, entry)
    with writing(memory, why) as (draft, said):
        answered = set(state.taint.tainted.get(id, ()))
        if not answered:
            raise MisuseError("this entry is not tainted; there is nothing to affirm")
        for named in state.taint.affirmed.get(id, {}).values():
            answered |= named
        answers = sorted(str(EntryId(*retraction)) for retraction in answered)
        return _note(draft, AFFIRMED, id, answers, said, over=True)


def _note(draft: Draft, field: str, id: Id, value: Any, said: About | None, *, over: bool = False) -> Entry:
    part: Any = draft.part((RECORDS, field))
    key = str(EntryId(*id))
    staged = next((entry for entry in part.live(key) if entry._id is None), None)
    if staged is not None:
        return staged  # type: ignore[no-any-return]
    return part.put(key, freeze(value), said) if over else part.add(key, freeze(value), said)  # type: ignore[no-any-return]


def _take_out(draft: Draft, state: State, kind: int, name: str, id: Id, amount: int, said: About | None) -> None:
    """Remove an entry from its field, as far as it shows; from an append-only one nothing is removed."""
    rules = state.trust.rules if state.trust is not None else None
    if rules is not None and name in rules.fields and rules.fields[name].append_only:
        return
    field = state.field(kind, name)
    if type(field) is Ordered:
        part: Any = draft.part((kind, name))
        for start, end in reversed(list(_showing(part, id))):
            part.delete(start, end)
    elif kind == COUNTER:
        _take_back(draft.part((kind, name)), id, amount, said)
    elif type(field) is Keyed and id in field.by_id:
        part = draft.part((kind, name))
        if field.by_id[id] in part.live(field.by_id[id].key):
            part.remove(field.by_id[id])


def _showing(part: OrderedDraft, id: Id) -> Iterator[tuple[int, int]]:
    """Where what is left of an entry shows."""
    at = 0
    for entry in part.shares() if part.field.kind == TEXT else part.entries():
        size = len(entry._frozen) if part.field.kind == TEXT else 1  # type: ignore[arg-type]
        if entry._id == id:
            yield at, at + size
        at += size


def _take_back(part: Any, id: Id, amount: int, said: About | None) -> int:
    """Undo an increment, or the undoing of one; counted once, however many do. What is undone already stays so."""
    while undoing := part.live(id):
        again = None if undoing[0]._id is None else part.live(_first(undoing)._id)
        if not again or again[0]._id is None:
            return 0
        id = _first(again)._id  # counted again since
    if not MIN_INT <= amount <= MAX_INT:
        raise ValueRefused(f"counter {part.field.name!r}: a step of {amount} does not fit int64 to be taken back")
    if amount:
        part.add(id, amount, said, -amount)
    return bool(amount)


def _first(undoing: Iterable[Entry]) -> Entry:
    """Of those that undo one increment the one that counts."""
    return min(undoing, key=lambda entry: entry._id)


# -- undo and restore ------------------------------------------------------------------------------


def undo(memory: Memory, change: Entry | EntryId | str, why: str) -> int:
    """Make undone what one change did, as far as nothing was built over it; return how many entries came and went."""
    id = known(memory, change)
    with writing(memory, why) as (draft, said):
        return _rewrite(asof.without(memory._document, id[0], id[1]), draft, said, undoing=True)


def restore(memory: Memory, past: PastState, why: str) -> int:
    """Make the memory what it was, as one new change; return how many entries came and went."""
    with writing(memory, why) as (draft, said):
        return _rewrite(past, draft, said, undoing=False)


def _rewrite(past: PastState, draft: Draft, said: About | None, *, undoing: bool) -> int:
    """Stage what makes the memory what it was then. To undo is to let later writes stand, and to lift retractions."""
    spoken = [(RECORDS, name) for name in (RETRACTED, AFFIRMED) if undoing and past.since((RECORDS, name))]
    touched = [at for at in past.now.fields if at[1][0] != "@" and past.since(at)]
    for at in (*spoken, *touched):
        if at in draft.parts:
            raise MisuseError(f"{at[1]!r} was written to in this block; begin the block with this, or give it its own")
    steps = 0
    lifted: set[Any] = set()
    for at in spoken:
        now, then = past.now.fields[at], past.fields[at]
        lifted |= now.by_id.keys() - then.by_id.keys()  # type: ignore[union-attr]
        steps += _respeak(now, then, draft.part(at), said)  # type: ignore[arg-type]
    fallen = {id for id, by in past.now.taint.retracted.items() if by - lifted}
    for at in touched:
        now, then, part = past.now.fields[at], past.fields[at], draft.part(at)
        if at[0] == COUNTER:
            steps += _recount(past, at[1], part, said, undoing=undoing)
        elif type(now) is Keyed:
            steps += _rekey(now, then, part, said, fallen, past.changes[0].hlc if undoing else inf)  # type: ignore[arg-type]
        else:
            steps += _reorder(now, then, part, said, fallen)  # type: ignore[arg-type]
    return steps


def _respeak(now: Keyed, then: Keyed, part: KeyedDraft, said: About | None) -> int:
    """Lift the retractions and affirmations that one change made, and make those again that it lifted."""
    over = [entry for id, entry in now.by_id.items() if id not in then.by_id]
    back: dict[Any, list[Entry]] = {}
    for id, entry in then.by_id.items():
        if id not in now.by_id:
            back.setdefault(entry.key, []).append(entry)
    for entry in over:
        part.remove(entry)
    for key, entries in back.items():
        named = dict.fromkeys(id for entry in entries if type(entry.value) is list for id in entry.value)
        part.add(key, freeze(list(named) or None), _again(entries[0], said))
    return len(over) + len(back)


def _rekey(now: Keyed, then: Keyed, part: KeyedDraft, said: About | None, fallen: Set[Any], undone: float) -> int:
    steps = 0
    for key in dict.fromkeys([*now.by_key, *then.by_key]):
        here = {entry._id: entry for entry in now.live(key)}
        were = {entry._id for entry in then.live(key)}
        there = [entry for entry in then.live(key) if entry._id not in fallen]
        over = [entry for id, entry in here.items() if id not in were]
        back = [entry for entry in there if entry._id not in here]
        if back and not over and any(entry.stamp.hlc > undone for entry in here.values()):
            continue  # what was written there since stands
        if back and (len(there) > 1 or back[0].extra is not None):
            over, back = list(here.values()), [folded(there)]  # siblings come back as what was read
        for entry in over:
            part.remove(entry)
        for entry in back:
            part.add(key, entry._frozen, _again(entry, said))
        steps += len(over) + len(back)
    return steps


def folded(entries: list[Entry]) -> Entry:
    """Several entries under one key as the one value they were read as."""
    newest = max(entries, key=lambda entry: (entry.stamp.hlc, entry._id))
    value = newest._frozen
    if newest.key is not None:
        value = freeze(fold(entries, "latest"))
    return Entry(newest._id, newest.field, newest.key, value, newest._about, newest._stamp)


def _recount(past: PastState, name: str, part: Any, said: About | None, *, undoing: bool) -> int:
    steps = 0
    now: Any = past.now.fields[COUNTER, name]
    then: Any = past.fields[COUNTER, name]
    for entry, amount in increments(past, name):
        if type(entry.key) is bytes:
            steps += _take_back(part, entry._id, amount, said)
        elif past.had(entry.key) and not then.live(entry.key) and _first(now.live(entry.key)) == entry:
            steps += _take_back(part, entry._id, -amount, said)
    off = 0 if undoing else then.total - part.total  # only where somebody took back what never was
    if off:
        part.add(None, off, said, off)
    return steps + bool(off)


def increments(past: PastState, name: str) -> list[tuple[Entry, int]]:
    """What was counted, or taken back, since: the entries, and the amount of each."""
    totals: dict[bytes, int] = {}
    found = []
    for change, number in sorted(past.since((COUNTER, name)), key=lambda c: (c[0].session, c[0].seq)):
        session = change.session
        for entry in past.written(change, number):
            amount: Any = entry._frozen
            if type(entry.key) is bytes:
                if session not in totals:
                    before = past.total(name, session, change.seq)
                    totals[session] = before._frozen if before else 0  # type: ignore[assignment]
                amount, totals[session] = amount - totals[session], amount
            found.append((entry, amount))
    return found


def _reorder(now: Ordered, then: Ordered, part: OrderedDraft, said: About | None, fallen: Set[Any]) -> int:
    """Walk both in the one order they share; what shows in one alone is deleted, or written again."""
    steps = place = 0
    back: list[tuple[Any, Any]] = []
    before = then.shown().each()
    old = next(before, None)
    for unit, _, shows, _ in now.shown().each():
        was = old if old is not None and old[0] == unit else None
        if was and was[2] and not shows:
            owner = shown_by(was[1])
            if owner._id not in fallen:
                back.append((owner, was[3] if now.kind == TEXT else None))
        elif shows:
            place += _write_again(part, place, back, said)
            steps += len(back)
            back.clear()
            if was and was[2]:
                place += 1
            else:
                part.delete(place, place + 1)
                steps += 1
        if was:
            old = next(before, None)
    _write_again(part, place, back, said)
    return steps + len(back)


def _write_again(part: OrderedDraft, place: int, back: list[tuple[Entry, Any]], said: About | None) -> int:
    """Insert copies of what had gone; return how much shows of them."""
    size = 0
    for _, same in groupby(back, lambda one: id(one[0])):
        run = list(same)
        entry = run[0][0]
        about = _again(entry, said)
        content: Any = "".join(char for _, char in run) if part.field.kind == TEXT else [entry._frozen]
        frozen = content if part.field.kind == TEXT else entry._frozen
        part.insert(place + size, Fresh(content, [Entry(None, entry.field, None, frozen, about, None)], about))
        size += len(content)
    return size


def _again(entry: Entry, said: About | None) -> About:
    """What an entry says when it is written again: the reason of now, what it said of its value, and its origin."""
    about = entry._about or ()
    why = said[0] if said else None
    kept = [*about[2:5], None, about[6]] if len(about) > 6 else list(about[2:5])
    while kept and kept[-1] is None:
        kept.pop()
    return (why, (entry.id,), *kept)


# -- shared ----------------------------------------------------------------------------------------


@contextmanager
def writing(memory: Memory, why: str | None) -> Iterator[tuple[Draft, About | None]]:
    """The open block of this memory, or one of its own, under the locks that staging takes; and what its writes say."""
    outer = memory._draft()
    with nullcontext() if outer else memory.change(why=why):
        draft = outer or memory._draft()
        assert draft is not None
        with draft.lock, memory._document.lock:
            draft.cites = True
            yield draft, draft.said(about({"why": why})) if outer else draft.about


def known(memory: Memory, entry: Entry | EntryId | str) -> Id:
    """The id of an entry that was written to this memory.

    Raises:
        ValueRefused: none was.
    """
    id = EntryId.parse(entry) if isinstance(entry, str) else entry.id if isinstance(entry, Entry) else entry
    if not isinstance(id, EntryId):
        raise TypeError(f"an Entry or its id, not {type(entry).__name__}")
    session = memory._document.state.sessions.get(id.session)
    if session is None or session.seq < id.seq:
        raise ValueRefused(f"no entry {id} was written to {memory.namespace!r}, as far as this replica has seen")
    return tuple(id)  # type: ignore[return-value]


def _origin(memory: Memory, id: Id) -> tuple[int, str, int]:
    """Which field an entry was written to, and how much it added to a counter."""
    state: Any = memory._document.state
    if type(state) is State and state.pruned.hash(id[0], id[1]):
        return _live(state, id)
    past = asof.without(memory._document, id[0], id[1])
    [change] = past.changes
    number, place = id[2] >> PART_SHIFT, id[2] & _PLACE
    part: Any = change.parts[number] if number < len(change.parts) else None
    if part is not None and place < _count(part):
        if part.kind == COUNTER:
            return COUNTER, part.field, next(a for entry, a in increments(past, part.field) if entry._id == id)
        return part.kind, part.field, 0
    raise ValueRefused(f"no entry {EntryId(*id)} was written to {memory.namespace!r}")


def _live(state: State, id: Id) -> tuple[int, str, int]:
    """The field in which an entry whose change was pruned is live; if it is in none, it says nothing any more."""
    for (kind, name), field in list(state.fields.items()):
        if any(entry._id == id for entry in (field.by_id.values() if type(field) is Keyed else field.entries())):  # type: ignore[union-attr]
            return kind, name, 0
    return RECORDS, RETRACTED, 0


def _count(part: Any) -> int:
    """How many entries a part adds."""
    if part.kind == SEQUENCE:
        return sum(len(run[1]) for run in part.runs)
    return len(part[3])
