"""A page of events, and how it reads: one line an event, grouped by minute, plain text.

What stood before a value and what took its place are told in one line. Nothing that agents wrote can reach the
terminal as more than text: values are shown as Python shows them, reasons in one line without control characters.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple, overload

from msgspec.msgpack import Decoder

from crdtmem.errors import BadBytes
from crdtmem.event import Event
from crdtmem.taint import FINDINGS
from crdtmem.values import encode

Rank = tuple[int, bytes, int, int, int]
_RANK = Decoder(Rank)
_WIDTH = 60  # of a value or a reason


class Timeline(Sequence[Event]):
    """A page of the audit, oldest event first; `str` is for people.

    Attributes:
        next: hand it to `audit(after=...)` for the page behind this one; None when there is none.
        previous: hand it to `audit(before=...)` for the page before it; None when there is none.

    >>> from crdtmem import Replica
    >>> replica = Replica("ann", role="lead", time=lambda: 1_700_000_000)
    >>> memory = replica.open(tenant="acme")
    >>> _ = memory.register("status").assign("draft")
    >>> _ = memory.register("status").assign("final", why="all tests green")
    >>> print(memory.audit())
    2023-11-14 22:13 UTC
      :20  ann (lead)  added       status  'draft'
      :20  ann (lead)  changed     status  'draft' -> 'final'  why: all tests green
    """

    __slots__ = ("_events", "next", "previous")

    def __init__(self, events: Iterable[Event], next: str | None, previous: str | None) -> None:
        self._events = tuple(events)
        self.next = next
        self.previous = previous

    @overload
    def __getitem__(self, index: int) -> Event: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Event]: ...
    def __getitem__(self, index: int | slice) -> Event | Sequence[Event]:
        return self._events[index]

    def __len__(self) -> int:
        return len(self._events)

    def __str__(self) -> str:
        return "\n".join(lines(self._events)) or "nothing happened"

    def __repr__(self) -> str:
        more = " and more" if self.next else ""
        return f"<Timeline of {len(self)} events{more}>"


def token(rank: Rank) -> str:
    """A place in the timeline, as a token.

    >>> place((token((7, bytes(16), 1, 0, 0))))[0]
    7
    """
    return urlsafe_b64encode(encode(rank)).decode().rstrip("=")


def place(token: str) -> Rank:
    """The place that a token names.

    Raises:
        BadBytes: it is no such token.
    """
    try:
        found: Rank = _RANK.decode(urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        return found
    except Exception:
        raise BadBytes(f"{token[:40]!r} is not a place in a timeline; use timeline.next or .previous") from None


class Row(NamedTuple):
    """One line of a timeline, in its parts: plain text, each on one line.

    Attributes:
        event: the event it tells.
        who: the agent, and its role.
        verb: what was done.
        where: the field, and the key in it.
        what: the value, what stood there before, the reason.
    """

    event: Event
    who: str
    verb: str
    where: str
    what: str

    @property
    def minute(self) -> str:
        """The minute it happened in."""
        return f"{self.event.when:%Y-%m-%d %H:%M} UTC"


def rows(events: Sequence[Event]) -> Iterator[Row]:
    """The lines of a timeline, in their parts. What takes the place of another is told once, with both.

    >>> from crdtmem import Replica
    >>> memory = Replica("ann", time=lambda: 1_700_000_000).open(tenant="acme")
    >>> _ = memory.counter("tokens").add(1200)
    >>> [row[1:] for row in rows(memory.audit())]
    [('ann', 'added', 'tokens', '+1200')]
    """
    for event, before in _joined(events):
        if event.field == FINDINGS and event.action == "added":
            yield Row(event, _who(event), *_found(event))
        else:
            yield Row(event, _who(event), "changed" if before else event.action, _where(event), _what(event, before))


def lines(events: Sequence[Event]) -> Iterator[str]:
    """The lines of a timeline."""
    told = list(rows(events))
    who = min(max((len(row.who) for row in told), default=0), 24)
    where = min(max((len(row.where) for row in told), default=0), 32)
    for minute, some in groupby(told, lambda row: row.minute):
        yield minute
        for row in some:
            yield f"  :{row.event.when:%S}  {row.who:{who}}  {row.verb:<10}  {row.where:{where}}  {row.what}".rstrip()


def _found(event: Event) -> tuple[str, str, str]:
    """A finding of a review as a line has it: verb, where, what. Anybody may have written it, so nothing is sure."""
    said = event.value if type(event.value) is dict else {}
    verb = {"open": "found", "acknowledged": "noted", "resolved": "resolved"}.get(str(said.get("status")), "added")
    if verb == "added":
        return verb, _where(event), _what(event, ())
    what = one_line(str(said.get("says")))
    why = f"  why: {one_line(event.why)}" if event.why and verb != "found" else ""
    return verb, "a finding", f"{one_line(str(said.get('tier')))} {one_line(str(said.get('kind')))}: {what}{why}"


def _joined(events: Sequence[Event]) -> Iterator[tuple[Event, tuple[Event, ...]]]:
    """Each event; with an added one those it superseded. That what is retracted was taken out goes without saying."""
    page = {event.entry for event in events if event.action == "added"}
    retracted = {(event.session, event.seq, event.entry) for event in events if event.action == "retracted"}
    before: dict[Any, list[Event]] = {}
    for event in events:
        if event.action == "superseded" and event.via in page:
            before.setdefault(event.via, []).append(event)
    for event in events:
        if event.action in ("removed", "undone") and (event.session, event.seq, event.entry) in retracted:
            continue
        if event.action == "added":
            yield event, tuple(before.get(event.entry, ()))
        elif event.action != "superseded" or event.via not in page:
            yield event, ()


def _who(event: Event) -> str:
    return f"{event.by} ({event.role})" if event.role else event.by


def _where(event: Event) -> str:
    return event.field if event.key is None else f"{event.field}[{brief(event.key)}]"


def _what(event: Event, before: tuple[Event, ...]) -> str:
    if event.kind == "counter" and type(event.value) is int:
        value = f"{-event.value if event.action == 'undone' else event.value:+}"
    elif event.action in ("voided", "lost") or (event.value is None and event.note):
        value = ""
    else:
        value = brief(event.value)
    gone = ["?" if old.note else brief(old.value) for old in before]
    if any(old != value for old in gone):
        value = f"{', '.join(gone)} -> {value}"
    said = [value] if value else []
    if event.why:
        said.append(f"why: {one_line(event.why)}")
    if event.note:
        said.append(f"({event.note})")
    return "  ".join(said)


def brief(value: object) -> str:
    """A value as Python shows it, not longer than fits a line.

    >>> brief("a" * 99)[-9:]
    "aaaa ...'"
    """
    if isinstance(value, str) and len(value) > _WIDTH:
        return repr(value[: _WIDTH - 4] + " ...")
    shown = repr(value)
    return shown if len(shown) <= _WIDTH + 2 else f"{shown[: _WIDTH - 2]} ..."


def one_line(text: str) -> str:
    """A reason in one line, as plain text.

    >>> one_line("line one\\n\\x1b[31mred")
    'line one \\\\x1b[31mred'
    """
    plain = "".join(c if c.isprintable() else repr(c)[1:-1] for c in " ".join(text[: 4 * _WIDTH].split()))
    return plain if len(plain) <= 2 * _WIDTH else f"{plain[: 2 * _WIDTH - 4]} ..."
