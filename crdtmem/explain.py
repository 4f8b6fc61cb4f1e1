"""Why an entry is there, or no longer: who wrote it and when, what became of it, what it rests on, what rests on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from crdtmem.audit import Audit
from crdtmem.change import COUNTER, KINDS, PART_SHIFT, RECORDS
from crdtmem.entry import Entry, EntryId
from crdtmem.errors import ValueRefused
from crdtmem.event import Event, said_in
from crdtmem.fields.field import alive
from crdtmem.fields.keyed import Keyed
from crdtmem.fields.ordered import Ordered, shown_by
from crdtmem.state import State
from crdtmem.timeline import brief, one_line
from crdtmem.trail import void_reason

MOST = 100  # entries in one explanation
_FATES = ("superseded", "removed", "undone")
_SAYING = ("added", "retracted", "affirmed", "undone")  # what adds an entry


class Explanation(Struct, frozen=True, kw_only=True):
    """What is known about an entry; `str` is for people.

    Attributes:
        entry: its id.
        said: how it was added; None when that cannot be read any more.
        status: live, superseded, removed, undone, expired, voided; gone, when what removed it cannot be told.
        retracted: whether a retraction of it stands.
        tainted: whether it rests, through any number of others, on an entry that was retracted.
        later: what happened to it since, in order.
        replaced_by: what took its place.
        rests_on: what its writer named as its causes, each explained.
        supports: the entries that name it as a cause, each explained.
        left_out: how many causes and dependents lie beyond the depth asked for, or are too many, or told above.
        note: what else is to be known.
    """

    entry: EntryId
    said: Event | None
    status: str
    retracted: bool = False
    tainted: bool = False
    later: tuple[Event, ...] = ()
    replaced_by: tuple[Event, ...] = ()
    rests_on: tuple[Explanation, ...] = ()
    supports: tuple[Explanation, ...] = ()
    left_out: int = 0
    note: str | None = None

    def __str__(self) -> str:
        return "\n".join(_page(self))


def explain(audit: Audit, state: State, entry: Entry | EntryId | str, *, depth: int, now: float) -> Explanation:
    """The explanation of an entry; `Memory.explain` says what the arguments mean."""
    if type(depth) is not int:
        raise TypeError(f"depth: an int, not {type(depth).__name__}")
    if depth < 0:
        raise ValueRefused(f"depth: 0 or more steps from the entry, not {depth}")
    id = audit.entry_id(entry)
    with audit.opened():
        return _Explainer(audit, state, now).explain(id, depth, depth, {id})


class _Explainer:
    def __init__(self, audit: Audit, state: State, now: float) -> None:
        self._audit = audit
        self._state = state
        self._now = now
        self._shown: dict[Any, tuple[int, Entry]] | None = None  # in sequences and texts
        self._room = MOST

    def explain(self, id: EntryId, down: int | None, up: int | None, above: set[EntryId]) -> Explanation:
        """One entry, and as many steps of what it rests on and what rests on it; with None they are not looked at."""
        self._room -= 1
        events = self._audit.history(id)
        told = [event for event in events if event.action in _SAYING]
        said = next(filter(lambda event: id == (event.entry if event.action == "added" else event.via), told), None)
        later = tuple(event for event in events if event.entry == id and event is not said)
        here = self._here(id)
        status, note = self._status(id, here, later)
        if said is None and here is not None:
            said = _remembered(*here)
        taint = self._state.taint
        heirs = [event.via for event in later if event.action == "superseded" and event.via]
        causes = taint.causes.get(id) or (said.because if said else ())
        rests_on, less = self._others(causes, down, above, down=True)
        supports, fewer = self._others(taint.dependents.get(id, ()), up, above, down=False)
        return Explanation(
            entry=id,
            said=said,
            status=status,
            retracted=bool(taint.retracted.get(id)),
            tainted=id in taint.tainted,
            later=later,
            replaced_by=tuple(event for heir in heirs for event in self._added(heir)),
            rests_on=rests_on,
            supports=supports,
            left_out=less + fewer,
            note=note,
        )

    def _others(
        self, ids: Any, steps: int | None, above: set[EntryId], *, down: bool
    ) -> tuple[tuple[Explanation, ...], int]:
        found = []
        left_out = 0
        for id in dict.fromkeys(EntryId(*id) for id in ids) if steps is not None else ():
            if id in above or not steps or not self._room:
                left_out += 1
                continue
            less = steps - 1
            found.append(self.explain(id, less if down else None, None if down else less, above | {id}))
        return tuple(found), left_out

    def _added(self, id: EntryId) -> Iterator[Event]:
        return (event for event in self._audit.history(id) if event.action == "added" and event.entry == id)

    def _status(self, id: EntryId, here: tuple[int, Entry] | None, later: tuple[Event, ...]) -> tuple[str, str | None]:
        change = self._audit.read(id.session, id.seq)
        said = None if change is None else said_in(change, id.n)
        flaw = None if change is None else void_reason(self._state.voids, change, id.n >> PART_SHIFT)
        if flaw:
            return "voided", flaw
        note = "its change cannot be read here any more" if change is None else None
        fates = [event.action for event in later if event.action in _FATES]
        if said is not None and said.kind == COUNTER:
            return (fates[-1] if fates else "live"), note
        if here is None:
            return (fates[-1] if fates else "gone"), note
        return ("live" if alive([here[1]], self._now) else "expired"), note

    def _here(self, id: EntryId) -> tuple[int, Entry] | None:
        """The kind of its field, and the entry, if it shows there now."""
        for (kind, _), field in self._state.fields.items():
            if type(field) is Keyed and id in field.by_id:
                return kind, field.by_id[id]
        if self._shown is None:
            self._shown = {
                shown_by(owner)._id: (kind, shown_by(owner))
                for (kind, _), field in self._state.fields.items()
                if type(field) is Ordered
                for owner in field.units.showing()
            }
        return self._shown.get(id)


def _remembered(kind: int, entry: Entry) -> Event:
    """How an entry was added whose change is lost, told from what is here of it."""
    return Event(
        when=entry.at,
        by=entry.by,
        role=entry.role,
        session=entry.id.session,
        seq=entry.id.seq,
        action="added",
        field=entry.field,
        kind=KINDS[kind],
        key=entry.key if kind == RECORDS else None,
        entry=entry.id,
        value=entry.extra if kind == COUNTER else entry.value,
        why=entry.why,
        because=entry.because,
        confidence=entry.confidence,
        tags=entry.tags,
        source=entry.source,
        rank=(entry.stamp.hlc, entry.id.session, entry.id.seq, entry.id.n >> PART_SHIFT, 0),
    )


def _page(found: Explanation) -> Iterator[str]:
    yield from _lines(found, "")
    for title, others in (("Rests on:", found.rests_on), ("Rests on it:", found.supports)):
        if others:
            yield title
            yield from _tree(others, "  ", title)
    if _left_out(found):
        yield f"Not shown: {_left_out(found)} more that it rests on or that rest on it"


def _left_out(found: Explanation) -> int:
    return found.left_out + sum(map(_left_out, (*found.rests_on, *found.supports)))


def _tree(others: tuple[Explanation, ...], indent: str, title: str) -> Iterator[str]:
    for other in others:
        yield from _lines(other, indent)
        yield from _tree(other.rests_on if title == "Rests on:" else other.supports, indent + "    ", title)


def _lines(found: Explanation, indent: str) -> Iterator[str]:
    """An entry and what became of it."""
    marks = [found.status]
    marks += ["retracted"] * found.retracted + ["rests on what was retracted"] * found.tainted
    said = found.said
    if said is None:
        yield f"{indent}entry {found.entry}  [{', '.join(marks)}]"
    else:
        where = said.field if said.key is None else f"{said.field}[{brief(said.key)}]"
        yield f"{indent}{where}: {brief(said.value)}  [{', '.join(marks)}]"
        yield f"{indent}  {_line(said.action, said)}"
    for event in found.later:
        heir = next((new for new in found.replaced_by if event.via is not None and new.entry == event.via), None)
        cut = event.action == "removed" and event.kind == "text"
        now = f"; now {brief(heir.value)}" if heir else f": {brief(event.value)}" if cut else ""
        yield f"{indent}  {_line(event.action, event)}{now}"
    if found.note:
        yield f"{indent}  ({found.note})"


def _line(action: str, event: Event) -> str:
    who = f"{event.by} ({event.role})" if event.role else event.by
    why = f", why: {one_line(event.why)}" if event.why else ""
    sure = f", confidence {event.confidence:g}" if event.confidence is not None else ""
    return f"{action} by {who}, {event.when:%Y-%m-%d %H:%M:%S} UTC{why}{sure}"
