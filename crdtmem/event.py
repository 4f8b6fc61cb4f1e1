"""What one part of a change did, told as events: who, when, what and why.

A change names what it removes; what that was stands in another change, so telling reads the log. Where that cannot be
read any more, because it was damaged or pruned, the event says so in its note: telling never fails. The events of a
part come in one order for everybody: what was added, then what was superseded or removed, then what was moved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from msgspec import Struct

from crdtmem.change import COUNTER, KINDS, PART_SHIFT, RECORDS, REGISTER, SEQUENCE, SET, TEXT, Change, utf16
from crdtmem.change import Keyed as KeyedPart
from crdtmem.change import Ordered as OrderedPart
from crdtmem.clock import moment
from crdtmem.entry import ABOUT, About, EntryId
from crdtmem.state import State
from crdtmem.taint import AFFIRMED, RETRACTED
from crdtmem.trail import Part, Trail, target_of, void_reason
from crdtmem.values import key_of, thaw

LOST = "what it was is not in the log here any more"
_VERDICTS = {RETRACTED: ("retracted", "reinstated"), AFFIRMED: ("affirmed", "disowned")}
_ABSENT: About = (None,) * len(ABOUT)


class Event(Struct, frozen=True, kw_only=True):
    """One thing that happened to one entry.

    Attributes:
        when: the moment, by the writer's clock.
        by: the agent.
        role: the role it acted in.
        session: of the change.
        seq: of the change in its session.
        action: added, superseded, removed, moved; retracted, affirmed, and reinstated or disowned when that was taken
            back; undone, of an increment; voided, of writes that no replica honours; lost, of what cannot be read.
        field: the name of the field.
        kind: its type.
        key: of a record.
        entry: what it happened to; None where that cannot be told.
        via: the entry that did it: what took its place, the retraction, the affirmation.
        value: what was added, or what was removed; of a counter, the amount.
        note: what is to be known beside: why it was voided, or that its value is lost.
        rank: its place in the timeline, the same on every replica.
    """

    when: datetime
    by: str
    role: str | None
    session: bytes
    seq: int
    action: str
    field: str
    kind: str
    key: str | None = None
    entry: EntryId | None = None
    via: EntryId | None = None
    value: Any = None
    note: str | None = None
    why: str | None = None
    because: tuple[EntryId, ...] = ()
    confidence: float | None = None
    tags: tuple[str, ...] = ()
    source: str = "agent"
    rank: tuple[int, bytes, int, int, int]


class Said(NamedTuple):
    """An entry as its change has it."""

    kind: int
    field: str
    key: Any
    frozen: Any
    about: About | None


class Teller:
    """Tells what parts did.

    Args:
        state: for the names of sessions, and what is void.
        trail: for who made which units.
        read: gives a change, or None when it is lost.
    """

    def __init__(self, state: State, trail: Trail, read: Callable[[bytes, int], Change | None]) -> None:
        self._state = state
        self._trail = trail
        self._read = read

    def tell(self, change: Change, number: int) -> list[Event]:
        """The events of one part."""
        part: Any = change.parts[number]
        flaw = void_reason(self._state.voids, change, number)
        if flaw:
            found = [_Draft("voided", part.kind, part.field, note=flaw)]
        elif type(part) is OrderedPart:
            found = [*self._added(change, number), *self._cut(change, part)]
        elif part.kind == RECORDS and part.field in _VERDICTS:
            found = list(self._verdicts(change, number))
        else:
            found = [*self._added(change, number), *self._removed(change, number)]
        return [self._event(change, part, number, i, draft) for i, draft in enumerate(found)]

    def told(self, change: Change) -> list[Event]:
        """The events of all its parts."""
        return [event for number in range(len(change.parts)) for event in self.tell(change, number)]

    def lost(self, at: Part, kind: int, field: str, agent: str, role: str | None) -> Event:
        """All that is left of a part whose change cannot be read."""
        return Event(
            when=moment(at.hlc),
            by=agent,
            role=role,
            session=at.session,
            seq=at.seq,
            action="lost",
            field=field,
            kind=KINDS[kind],
            note="its change cannot be read here any more",
            rank=(*at, 0),
        )

    def value(self, change: Change, n: int, said: Said) -> Any:
        """The value of an entry; of a counter, the amount."""
        if said.kind != COUNTER or said.key is not None:
            return thaw(said.frozen)
        number, place = n >> PART_SHIFT, n & (1 << PART_SHIFT) - 1
        totals = [add[0] for add in change.parts[number][3][:place] if len(add) < 3]
        before = totals[-1] if totals else self._trail.base(change, number)
        return None if before is None else said.frozen - before

    # -- keyed fields ------------------------------------------------------------------------------

    def _added(self, change: Change, number: int) -> Iterator[_Draft]:
        for n in entries(change, number):
            said = said_in(change, n)
            assert said is not None
            value = self.value(change, n, said)
            id = EntryId(change.session, change.seq, n)
            if said.kind == COUNTER and said.key is not None:
                yield _Draft("undone", said.kind, said.field, None, EntryId(*said.key), id, value, said.about)
                continue
            note = LOST if value is None and said.kind == COUNTER else None
            key = said.key if said.kind == RECORDS else None
            yield _Draft("added", said.kind, said.field, key, id, None, value, said.about, note)

    def _removed(self, change: Change, number: int) -> Iterator[_Draft]:
        part: Any = change.parts[number]
        heirs = {_slot(part.kind, add): i for i, add in enumerate(part.adds)}
        for id in dict.fromkeys(part.removes):
            lost, said, value = self._find(id)
            if not lost and (said is None or (said.kind, said.field) != (part.kind, part.field)):
                continue  # it names what is not in this field: no replica removes anything
            slot = said.key if said else None
            heir = heirs.get(slot)
            via = None if heir is None else EntryId(change.session, change.seq, (number << PART_SHIFT) + heir)
            about = None if heir is None or len(part.adds[heir]) == 1 else part.adds[heir][1]
            action = "removed" if heir is None else "superseded"
            key, note = (slot if part.kind == RECORDS else None), (LOST if lost else None)
            yield _Draft(action, part.kind, part.field, key, EntryId(*id), via, value, about, note)

    def _verdicts(self, change: Change, number: int) -> Iterator[_Draft]:
        """What is retracted and affirmed, told of the entries that are."""
        part: Any = change.parts[number]
        done, withdrawn = _VERDICTS[part.field]
        for i, add in enumerate(part.adds):
            via = EntryId(change.session, change.seq, (number << PART_SHIFT) + i)
            yield self._verdict(done, part, add[2], via, add[1] if add[1] is not None else part.about)
        again = {add[2] for add in part.adds}
        for id in dict.fromkeys(part.removes):
            lost, said, _ = self._find(id)
            if said is not None and (said.kind, said.field) == (part.kind, part.field) and said.key not in again:
                yield self._verdict(withdrawn, part, said.key, EntryId(*id), part.about)
            elif said is None and lost:
                yield _Draft(withdrawn, part.kind, part.field, via=EntryId(*id), note=LOST)

    def _verdict(self, action: str, part: KeyedPart, key: str, via: EntryId, about: About | None) -> _Draft:
        target = target_of(key)
        if target is None:
            return _Draft(action, part.kind, part.field, key, None, via, about=about, note="it names no entry")
        lost, said, value = self._find(target)
        if said is None:
            note = LOST if lost else "it names an entry that is not here"
            return _Draft(action, part.kind, part.field, key, EntryId(*target), via, about=about, note=note)
        of = said.key if said.kind == RECORDS else None
        return _Draft(action, said.kind, said.field, of, EntryId(*target), via, value, about)

    def _find(self, id: Any) -> tuple[bool, Said | None, Any]:
        """Whether its change is lost; the entry, if there is one; its value."""
        writer = self._state.sessions.get(id[0])
        if writer is None or id[1] > writer.seq:
            return False, None, None
        change = self._read(id[0], id[1])
        if change is None:
            return True, None, None
        said = said_in(change, id[2])
        return False, said, None if said is None else self.value(change, id[2], said)

    # -- sequences and texts -----------------------------------------------------------------------

    def _cut(self, change: Change, part: OrderedPart) -> Iterator[_Draft]:
        moved = {tuple(id) for _, id in part.moves}
        pieces: dict[Any, list[Any]] = {}
        lost = False
        for client, clock, length in part.deletes:
            for id, piece in self._units(part, client, clock, clock + length):
                if id is None:
                    lost = True
                else:
                    pieces.setdefault(id, []).append(piece)
        for id, found in pieces.items():
            if id not in moved:
                missing, _, value = (False, None, "".join(found)) if part.kind == TEXT else self._find(id)
                note = LOST if missing else None
                yield _Draft("removed", part.kind, part.field, None, EntryId(*id), None, value, note=note)
        if lost:
            yield _Draft("removed", part.kind, part.field, note=LOST)
        for id in dict.fromkeys(tuple(id) for _, id in part.moves):
            missing, _, value = self._find(id)
            note = LOST if missing else None
            yield _Draft("moved", part.kind, part.field, None, EntryId(*id), None, value, note=note)

    def _units(self, part: OrderedPart, client: int, start: int, end: int) -> Iterator[tuple[Any, Any]]:
        """The entries that some units show, each with what of it they are; None for what is lost."""
        while start < end:
            edit = self._trail.made(part.kind, part.field, client, start)
            maker = None if edit is None else self._read(edit.session, edit.seq)
            if edit is None or maker is None:
                yield None, None
                if edit is None:
                    return
            else:
                upto = min(end, edit.clock + edit.units)
                yield from shown(maker, edit.number, start - edit.clock, upto - edit.clock)
            start = edit.clock + edit.units

    # -- events ------------------------------------------------------------------------------------

    def _event(self, change: Change, part: Any, number: int, i: int, draft: _Draft) -> Event:
        writer = self._state.sessions[change.session]
        by, role = change.actor or (writer.agent, writer.role)
        about: About | None = draft.about if draft.about is not None else part.about
        said = about or ()
        why, because, confidence, tags, source, *_ = said + _ABSENT[len(said) :]
        return Event(
            when=moment(change.hlc),
            by=by,
            role=role,
            session=change.session,
            seq=change.seq,
            action=draft.action,
            field=draft.field,
            kind=KINDS[draft.kind],
            key=draft.key,
            entry=draft.entry,
            via=draft.via,
            value=draft.value,
            note=draft.note,
            why=why,
            because=tuple(EntryId(*id) for id in because or ()),
            confidence=confidence,
            tags=tags or (),
            source=source or "agent",
            rank=(change.hlc, change.session, change.seq, number, i),
        )


class _Draft(NamedTuple):
    """What an event has of its own; the rest is its change's."""

    action: str
    kind: int
    field: str
    key: Any = None
    entry: EntryId | None = None
    via: EntryId | None = None
    value: Any = None
    about: About | None = None
    note: str | None = None


def entries(change: Change, number: int) -> range:
    """The n of the entries that a part adds."""
    part: Any = change.parts[number]
    size = sum([len(run[1]) for run in part.runs]) if part.kind == SEQUENCE else len(part[3])
    return range(number << PART_SHIFT, (number << PART_SHIFT) + size)


def said_in(change: Change, n: int) -> Said | None:
    """The entry of that n, or None."""
    number, place = n >> PART_SHIFT, n & (1 << PART_SHIFT) - 1
    if number >= len(change.parts):
        return None
    part: Any = change.parts[number]
    if type(part) is KeyedPart:
        if place >= len(part.adds):
            return None
        add = part.adds[place]
        about = add[1] if len(add) > 1 and add[1] is not None else part.about
        return Said(part.kind, part.field, _slot(part.kind, add), add[0], about)
    for run in part.runs:
        size = 1 if part.kind == TEXT else len(run[1])
        if place < size:
            about = run[2] if len(run) > 2 else part.about
            return Said(part.kind, part.field, None, run[1] if part.kind == TEXT else run[1][place], about)
        place -= size
    return None


def shown(change: Change, number: int, start: int, end: int) -> Iterator[tuple[Any, Any]]:
    """The entries that some units of a part show, counted from its first, each with what of it they are."""
    part: Any = change.parts[number]
    n = number << PART_SHIFT
    at = 0
    for run in part.runs:
        size = utf16(run[1]) if part.kind == TEXT else len(run[1])
        low, high = max(start - at, 0), min(end - at, size)
        if low < high:
            if part.kind == TEXT:
                yield (change.session, change.seq, n), _slice(run[1], low, high)
            else:
                for place in range(low, high):
                    yield (change.session, change.seq, n + place), run[1][place]
        at += size
        n += 1 if part.kind == TEXT else size
    for _, id in part.moves[max(start - at, 0) : max(end - at, 0)]:
        yield tuple(id), None


def _slice(text: str, low: int, high: int) -> str:
    """From one UTF-16 unit to another."""
    if text.isascii():
        return text[low:high]
    return text.encode("utf-16-le")[2 * low : 2 * high].decode("utf-16-le", "replace")


def _slot(kind: int, add: Any) -> Any:
    """What two adds share when one takes the other's place."""
    if kind == SET:
        return key_of(add[0])
    if kind == REGISTER:
        return None
    return add[2] if len(add) > 2 else None
