"""`crdtmem timeline`: what happened, for people who are tired; and how to ask for some of it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import Annotated, Any

import typer

from crdtmem import Event, Memory, Timeline
from crdtmem.cli import given, out
from crdtmem.cli.frame import Json, reading
from crdtmem.cli.pick import fields
from crdtmem.concern import standing
from crdtmem.taint import JUDGED
from crdtmem.timeline import Row, rows

_PAUSE = 0.2  # seconds between two looks at a file that is followed
_PAGE = 1000  # events taken in at once while a file is followed

OfField = Annotated[
    list[str],
    typer.Option("--field", "-f", metavar="FIELD", help="only this one; again for more", autocompletion=fields),
]
By = Annotated[list[str], typer.Option("--by", metavar="AGENT", help="only by this agent; again for more")]
Since = Annotated[
    str | None,
    typer.Option(metavar="WHEN", help="from then on: 90m, 03:00, 2026-03-14T03:00, a version", show_default=False),
]
Until = Annotated[str | None, typer.Option(metavar="WHEN", help="until then", show_default=False)]
Grep = Annotated[
    str | None, typer.Option("--text", help="only what has this in its value or its reason", show_default=False)
]
Role = Annotated[list[str], typer.Option(help="only in this role; again for more")]


def asked_of(
    memory: Memory,
    field: list[str],
    by: list[str],
    role: list[str],
    since: str | None,
    until: str | None,
    text: str | None,
) -> dict[str, Any]:
    """The filters, as `Memory.audit` takes them."""
    now = memory._document.now()
    moments = {"since": given.when(since, now), "until": given.when(until, now)}
    return {"field": field or None, "by": by or None, "role": role or None, "text": text or None, **moments}


@reading
def timeline(
    memory: Memory,
    *,
    field: OfField = [],  # noqa: B006
    by: By = [],  # noqa: B006
    role: Role = [],  # noqa: B006
    since: Since = None,
    until: Until = None,
    text: Grep = None,
    last: Annotated[int, typer.Option("--last", "-n", min=1, max=10_000, help="so many events, the newest")] = 100,
    follow: Annotated[bool, typer.Option("--follow", help="go on with what is written from now on")] = False,
    as_json: Json = False,
) -> None:
    """Tell what happened, minute by minute: who did what, where, and why.

    A mark before a line says that it is in an open conflict (!), that a finding speaks of it (?), that it was taken
    back (x), or that it rests on what was (~). With --follow it goes on until Ctrl-C, also while another process owns
    the file. With --json: one object for each event.

    Example: `crdtmem timeline researcher.db --since 2h --field facts --by ann`
    """
    asked = asked_of(memory, field, by, role, since, until, text)
    page = memory.audit(**asked, last=last)
    shown = _Shown(as_json=as_json)
    if page.previous is not None and not as_json:
        out.say(out.Cell(f"... the last {last} events; --last 1000 tells more", "dim"))
    shown.tell(memory, page)
    if not page and not follow and not as_json:
        out.say("nothing happened")
    while follow:
        seen = memory.version
        time.sleep(_PAUSE)
        if memory.refresh():
            for news in _pages(memory, {**asked, "since": seen}):
                shown.tell(memory, news)


def _pages(memory: Memory, asked: dict[str, Any]) -> Iterable[Timeline]:
    page = memory.audit(**asked, limit=_PAGE)
    yield page
    while page.next is not None:
        page = memory.audit(**asked, limit=_PAGE, after=page.next)
        yield page


class _Shown:
    """What has been told so far: a minute is named once, and the column of authors keeps its width."""

    def __init__(self, *, as_json: bool) -> None:
        self._json = as_json
        self._minute = ""
        self._who = 0

    def tell(self, memory: Memory, events: Timeline) -> None:
        """Tell some more."""
        if self._json:
            for event in events:
                out.emit(out.event_data(event))
            sys.stdout.flush()
            return
        told = [row for row in rows(events) if row.event.field != JUDGED]
        self._who = min(max([self._who, *(len(row.who) for row in told)]), 24)
        marks = _Marks(memory)
        for row in told:
            if row.minute != self._minute:
                self._minute = row.minute
                out.say(out.Cell(row.minute, "bold"))
            out.say(*self._line(row, marks), hang=6)
        sys.stdout.flush()  # whoever follows through a pipe waits for it

    def _line(self, row: Row, marks: _Marks) -> Iterable[out.Cell | str]:
        sign, style = marks.of(row.event)
        who = out.author(row.event.by, f"{_cut(row.who, 24):{self._who}}")
        yield out.Cell(f"{sign} ", style)
        yield out.Cell(f":{row.event.when:%S} ", "dim")
        yield who
        yield out.Cell(f" {row.verb} ", VERBS.get(row.verb, ""))
        yield out.Cell(f"{_cut(row.where, 40)} ", "bold")
        yield out.Cell(row.what, style)


VERBS = {
    "retracted": "red",
    "removed": "red",
    "undone": "red",
    "voided": "red",
    "lost": "red",
    "found": "yellow",
    "affirmed": "green",
    "reinstated": "green",
    "resolved": "green",
    "changed": "dim",
    "added": "dim",
}


class _Marks:
    """What somebody should look at, by the entries concerned."""

    def __init__(self, memory: Memory) -> None:
        state, now = memory._document.state, memory._document.now()
        self._taint = state.taint
        self._rivals = {tuple(entry.id) for one in memory.conflicts() for entry in one.entries}
        self._found = {id for one in standing(state, now).values() for id in one.about}

    def of(self, event: Event) -> tuple[str, str]:
        """A sign, and its colour."""
        if event.action not in ("added", "moved") or event.entry is None:
            return " ", ""
        id = tuple(event.entry)
        if self._taint.retracted.get(id):
            return "x", "red"
        if id in self._rivals:
            return "!", "yellow"
        if id in self._found:
            return "?", "yellow"
        return ("~", "red") if id in self._taint.tainted else (" ", "")


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
