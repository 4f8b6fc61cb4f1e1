"""The audit: who wrote what, when and why, by field, author, time, entry or text.

It is derived from the log: `trail` finds the changes, `event` tells what each did, and a page of that is a `Timeline`.
Asking changes nothing. The timeline is ordered by the writers' clocks, then session and change: the same on every
replica that has seen the same, whatever came in first. So a page stays what it is; what comes late stands where it
belongs, before or behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from typing import Any, NamedTuple

from crdtmem.change import PART_SHIFT, SEQUENCE, TEXT, Change, Version, utf16
from crdtmem.entry import Entry, EntryId, is_id
from crdtmem.errors import BadBytes, NamespaceError, NotReached, StoreError, ValueRefused
from crdtmem.event import Event, Teller, said_in
from crdtmem.follow import Follower
from crdtmem.namespace import Namespace
from crdtmem.state import State
from crdtmem.store import Log
from crdtmem.timeline import Rank, Timeline, place, token
from crdtmem.trail import Asked, ChangeId, Part, Trail

MAX_PAGE = 10_000
_REMEMBERED = 64  # changes, decoded
Past = Callable[[Version], Mapping[bytes, int]]
Names = str | Collection[str] | None
Moment = datetime | Version | str | None


class Filters(NamedTuple):
    """What is asked of the audit, checked."""

    asked: Asked
    entry: EntryId | None
    text: str | None
    after: Mapping[bytes, int] | None  # only what was written after this version
    within: Mapping[bytes, int] | None  # only what this version has seen
    fields: Collection[str] | None

    def admits(self, at: Part) -> bool:
        """Whether the change is in question."""
        if self.after is not None and at.seq <= self.after.get(at.session, 0):
            return False
        return self.within is None or at.seq <= self.within.get(at.session, 0)

    def takes(self, event: Event) -> bool:
        """Whether the event is asked for."""
        if self.fields is not None and event.field not in self.fields:
            return False
        if self.entry is not None and self.entry not in (event.entry, event.via):
            return False
        if self.text is None:
            return True
        return self.text in str(event.value).casefold() or (event.why is not None and self.text in event.why.casefold())


class Audit:
    """The audit of one memory. All calls are made under its lock.

    Args:
        namespace: its scope.
        log: its records.
        state: what they add up to.
        past: how far each session had come in a version.
    """

    def __init__(self, namespace: Namespace, log: Log, state: State, past: Past) -> None:
        self._namespace = namespace
        self._log = log
        self._state = state
        self._past = past
        self._trail = Trail(log, state)
        self._follower = Follower(self._trail, log, state)
        self._teller = Teller(state, self._trail, self.read)
        self._known: dict[ChangeId, Change] = {}
        self._complete = False  # while somebody holds them open

    def timeline(
        self,
        *,
        field: Names = None,
        by: Names = None,
        role: Names = None,
        session: bytes | str | None = None,
        since: Moment = None,
        until: Moment = None,
        entry: Entry | EntryId | str | None = None,
        text: str | None = None,
        limit: int = 100,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> Timeline:
        """A page of events; `Memory.audit` says what each argument means."""
        if (last is not None or before is not None) and (after is not None or limit != 100):
            raise ValueRefused("limit= and after= page forward, last= and before= page back; give one or the other")
        back = last is not None or before is not None
        size = _size("last" if last is not None else "limit", limit if last is None else last)
        cursor = _cursor("before", before) if back else _cursor("after", after)
        filters = self._filters(field, by, role, session, since, until, entry, text)
        with self.opened():
            found = self._found(filters, cursor, size, newest_first=back)
        more = len(found) > size
        events = found[:size]
        if back:
            events.reverse()
        if not events:
            return Timeline((), None, None)
        behind, ahead = (cursor is not None, more) if back else (more, cursor is not None)
        return Timeline(
            events,
            token(events[-1].rank) if behind else None,
            token(events[0].rank) if ahead else None,
        )

    def _found(self, filters: Filters, cursor: Rank | None, size: int, *, newest_first: bool) -> list[Event]:
        """The events asked for, one more than asked for if there is one."""
        found: list[Event] = []
        with closing(self._all(filters, cursor, newest_first=newest_first)) as events:
            for event in events:
                if cursor is not None and (event.rank >= cursor if newest_first else event.rank <= cursor):
                    continue
                if filters.takes(event):
                    found.append(event)
                    if len(found) > size:
                        break
        return found

    def _all(self, filters: Filters, cursor: Rank | None, *, newest_first: bool) -> Generator[Event]:
        if filters.entry is not None:
            asked = filters.asked
            for event in sorted(self.history(filters.entry), key=_rank, reverse=newest_first):
                at = Part(*event.rank[:4])
                if filters.admits(at) and _fits(asked, event):
                    yield event
            return
        start = None if cursor is None else Part(*cursor[:4])
        with closing(self._trail.parts(filters.asked, start, newest_first=newest_first)) as parts:
            for at in parts:
                if filters.admits(at):
                    events = self._told(at)
                    yield from reversed(events) if newest_first else events

    def _told(self, at: Part) -> list[Event]:
        change = self.read(at.session, at.seq)
        if change is None:
            return [self._teller.lost(at, *self._trail.label(at))]
        return self._teller.tell(change, at.number)

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Have the tables complete: all that the state has seen is in them (invariant 8).

        Whoever asks much asks inside one: looking whether they are complete takes 10 us.
        """
        before = self._complete
        try:
            if not before:
                self._follower.follow()
            self._complete = True
            yield
        except Exception as error:
            from crdtmem.sqlite import Error  # it is loaded, if this is one

            if isinstance(error, Error):
                raise StoreError(f"the tables of the audit could not be read or written: {error}") from error
            raise
        finally:
            self._complete = before

    def history(self, entry: EntryId) -> list[Event]:
        """All that happened to an entry, and what it did to others, in order; asked inside `opened`."""
        changes = {entry[:2], *self._trail.naming(entry)}
        verdicts = {
            event.via
            for change in map(self.read, *zip(*changes, strict=True))
            if change is not None
            for event in self._teller.told(change)
            if event.entry == entry and event.via is not None and event.action in ("retracted", "affirmed")
        }
        for verdict in verdicts:
            changes.update(self._trail.naming(verdict))
        changes.update(self._deleting(entry))
        found = []
        for session, seq in changes:
            change = self.read(session, seq)
            if change is not None:
                found += [event for event in self._teller.told(change) if entry in (event.entry, event.via)]
        return sorted(found, key=_rank)

    def _deleting(self, entry: EntryId) -> Iterator[ChangeId]:
        """The changes that delete units of an entry of a sequence or text, wherever it stood."""
        for session, seq in [entry[:2], *self._trail.naming(entry)]:
            change = self.read(session, seq)
            for number, part in enumerate(change.parts if change else ()):
                if part.kind < SEQUENCE or change is None:
                    continue
                clock = self._trail.base(change, number)
                if clock is None:
                    continue
                for start, end in _spans(change, number, entry):
                    yield from self._trail.deleting(part.kind, part.field, session, clock + start, clock + end)

    def read(self, session: bytes, seq: int) -> Change | None:
        """A change, or None when it is lost."""
        found = self._known.get((session, seq))
        if found is None:
            kept = self._log.read(session, seq)
            if kept is None:
                return None
            found = kept.change
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[session, seq] = found
        return found

    # -- what is asked -----------------------------------------------------------------------------

    def _filters(
        self,
        field: Names,
        by: Names,
        role: Names,
        session: bytes | str | None,
        since: Moment,
        until: Moment,
        entry: Entry | EntryId | str | None,
        text: str | None,
    ) -> Filters:
        if text is not None and not isinstance(text, str):
            raise TypeError(f"text: a str, not {type(text).__name__}")
        first, after = self._moment("since", since)
        end, within = self._moment("until", until)
        fields = _names("field", field)
        asked = Asked(fields, _names("by", by), _names("role", role), _session(session), first, end)
        id = None if entry is None else self.entry_id(entry)
        return Filters(asked, id, text.casefold() if text else None, after, within, fields)

    def _moment(self, what: str, given: Moment) -> tuple[int | None, Mapping[bytes, int] | None]:
        """A stamp for a datetime; how far each session had come for a version."""
        if given is None:
            return None, None
        if isinstance(given, datetime):
            if given.tzinfo is None:
                raise ValueRefused(f"{what}: {given} names no time zone; use .astimezone() or tzinfo=UTC")
            return max(round(given.timestamp() * 1000), 0) << 16, None
        version = given
        if isinstance(version, str):
            try:
                version = Version.parse(version)
            except BadBytes:
                raise BadBytes(f"{what}: {given[:40]!r} is not a version token; for a moment give a datetime") from None
        if not isinstance(version, Version):
            raise TypeError(f"{what}: a datetime, a Version or its token, not {type(given).__name__}")
        return None, self._past(version.check(self._namespace))

    def entry_id(self, given: Entry | EntryId | str) -> EntryId:
        """The id of an entry of this memory.

        Raises:
            NamespaceError: its session is not known here.
            NotReached: its change is not here yet.
            ValueRefused: there is no such entry.
        """
        id = EntryId.parse(given) if isinstance(given, str) else given.id if isinstance(given, Entry) else given
        if not isinstance(id, EntryId) or not is_id(tuple(id)):
            raise TypeError(f"entry: an Entry, its id or the id as str, not {given!r:.60}")
        writer = self._state.sessions.get(id.session)
        if writer is None:
            raise NamespaceError(
                f"entry: nothing of its session is in {self._namespace!r}; it belongs to another namespace, or none of "
                "its author's changes has arrived yet"
            )
        if id.seq > writer.seq:
            raise NotReached(f"entry: its change {id.seq} of {writer.agent!r} has not arrived yet; {writer.seq} have")
        change = self.read(id.session, id.seq)
        if change is not None and said_in(change, id.n) is None:
            raise ValueRefused(f"entry: change {id.seq} of {writer.agent!r} has no entry {id.n}")
        return id

    # -- for others that read the past -------------------------------------------------------------

    def removers(self, id: Any) -> dict[tuple[int, str], list[ChangeId]]:
        """The changes that name an entry to remove it from a keyed field, by field; it stands in one at most."""
        if self._complete:
            return self._trail.removers(id)
        with self.opened():
            return self._trail.removers(id)

    def touching(self, kind: int, field: str) -> list[ChangeId]:
        """The changes with a part for a counter, sequence or text, in the order they were applied here."""
        with self.opened():
            return self._trail.touching(kind, field)

    def forget(self) -> None:
        """Changes were taken out of the log, or put in front of it."""
        self._known.clear()
        self._follower.forget()

    def prune(self, upto: Mapping[bytes, int]) -> None:
        """The changes of these sessions, up to these, were pruned: they are no longer told."""
        with self.opened():
            self._trail.prune(upto)

    def reached(self, stamp: int) -> dict[bytes, int]:
        """How far the sessions had come at a stamp that have gone on since."""
        with self.opened():
            return self._trail.reached(stamp)


def _names(what: str, given: Names) -> Collection[str] | None:
    if given is None or isinstance(given, str):
        return None if given is None else {given}
    if not isinstance(given, Collection) or not all(isinstance(name, str) for name in given):
        raise TypeError(f"{what}: a name or a list of names, not {given!r:.60}")
    if not given:
        raise ValueRefused(f"{what}: an empty list asks for nothing; leave it out to ask for all")
    return set(given)


def _session(given: bytes | str | None) -> bytes | None:
    if isinstance(given, str):
        try:
            given = bytes.fromhex(given)
        except ValueError:
            raise ValueRefused(f"session: {given[:40]!r} is not hexadecimal; use event.session.hex()") from None
    if given is not None and not isinstance(given, bytes):
        raise TypeError(f"session: the 16 bytes of event.session, or their .hex(), not {type(given).__name__}")
    if given is not None and len(given) != 16:
        raise ValueRefused(f"session: 16 bytes, as in event.session, not {len(given)}")
    return given


def _size(what: str, given: int) -> int:
    if type(given) is not int:
        raise TypeError(f"{what}: an int, not {type(given).__name__}")
    if not 0 < given <= MAX_PAGE:
        raise ValueRefused(f"{what}: from 1 to {MAX_PAGE} events a page, not {given}; .next and .previous turn it")
    return given


def _cursor(what: str, given: str | None) -> Rank | None:
    if given is None:
        return None
    if not isinstance(given, str):
        raise TypeError(f"{what}: the .next or .previous of a timeline, not {type(given).__name__}")
    return place(given)


def _fits(asked: Asked, event: Event) -> bool:
    """What the tables would have sorted out."""
    return (
        (asked.by is None or event.by in asked.by)
        and (asked.roles is None or event.role in asked.roles)
        and (asked.session is None or event.session == asked.session)
        and (asked.first is None or event.rank[0] >= asked.first)
        and (asked.last is None or event.rank[0] < asked.last)
    )


def _spans(change: Change, number: int, entry: EntryId) -> Iterator[tuple[int, int]]:
    """Where an entry stands among the units of a part, counted from its first."""
    part: Any = change.parts[number]
    at = 0
    n = number << PART_SHIFT
    mine = entry[:2] == (change.session, change.seq)
    for run in part.runs:
        size = utf16(run[1]) if part.kind == TEXT else len(run[1])
        count = 1 if part.kind == TEXT else size
        if mine and n <= entry.n < n + count:
            start = at + (0 if part.kind == TEXT else entry.n - n)
            yield start, start + (size if part.kind == TEXT else 1)
        at += size
        n += count
    for unit, (_, id) in enumerate(part.moves, at):
        if tuple(id) == entry:
            yield unit, unit + 1


def _rank(event: Event) -> Rank:
    return event.rank
