"""`timeline`, `audit`, `explain`, `diff`: what happened, for people who are tired and for programs."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import Annotated, Any

import typer

from crdtmem import Event, Memory, Timeline
from crdtmem.cli import given, out
from crdtmem.cli.frame import Json, reading
from crdtmem.cli.pick import What, entry_of, fields
from crdtmem.concern import standing
from crdtmem.explain import Explanation
from crdtmem.mark import mark
from crdtmem.taint import JUDGED
from crdtmem.timeline import Row, one_line, rows

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


def _asked(
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
    asked = _asked(memory, field, by, role, since, until, text)
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
    """What has been told so far: a minute is named once, and columns keep their width."""

    def __init__(self, *, as_json: bool) -> None:
        self._json = as_json
        self._minute = ""
        self._who = self._where = 0

    def tell(self, memory: Memory, events: Timeline) -> None:
        """Tell some more."""
        if self._json:
            for event in events:
                out.emit(out.event_data(event))
            sys.stdout.flush()
            return
        told = [row for row in rows(events) if row.event.field != JUDGED]
        self._who = min(max([self._who, *(len(row.who) for row in told)]), 24)
        self._where = min(max([self._where, *(len(row.where) for row in told)]), 24)
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
        yield out.Cell(f" {row.verb} ", _VERBS.get(row.verb, ""))
        yield out.Cell(f"{_cut(row.where, 40)} ", "bold")
        yield out.Cell(row.what, style)


_VERBS = {
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


@reading
def audit(
    memory: Memory,
    *,
    field: OfField = [],  # noqa: B006
    by: By = [],  # noqa: B006
    role: Role = [],  # noqa: B006
    since: Since = None,
    until: Until = None,
    text: Grep = None,
    entry: Annotated[
        str | None, typer.Option(metavar="ENTRY", help="only what happened to it", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="so many events")] = 100,
    after: Annotated[
        str | None, typer.Option(metavar="PLACE", help="go on behind the page before", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """List every event with the entry it happened to: nothing is put together, nothing left out.

    With --json: one object for each event; where there are more, the last line is {"next": PLACE}, for --after.

    Example: `crdtmem audit researcher.db --by ann --json`
    """
    asked = _asked(memory, field, by, role, since, until, text)
    one = None if entry is None else entry_of(memory, [entry])
    page = memory.audit(**asked, entry=one, limit=limit, after=after)
    if as_json:
        for event in page:
            out.emit(out.event_data(event))
        if page.next:
            out.emit({"next": page.next})
        return
    out.table([_cells(event) for event in page], head=("when, UTC", "who", "did", "entry", "what"), fold=-1)
    if page.next:
        out.say(out.Cell(f"more: --after {page.next}", "dim"))


def _cells(event: Event) -> list[out.Cell | str]:
    where = event.field if event.key is None else f"{event.field}[{out.line(event.key, 40)}]"
    what = "" if event.value is None and event.note else f" {out.line(event.value, 80)}"
    why = f"  why: {one_line(event.why)}" if event.why else ""
    note = f"  ({event.note})" if event.note else ""
    style = _VERBS.get(event.action, "")
    when = out.Cell(f"{event.when:%m-%d %H:%M:%S}", "dim")
    named = out.Cell("" if event.entry is None else mark(event.entry), "dim")
    return [when, out.author(event.by), out.Cell(event.action, style), named, f"{where}{what}{why}{note}"]


@reading
def explain(
    memory: Memory,
    what: What,
    *,
    depth: Annotated[int, typer.Option(min=0, help="so many steps of what it rests on, and what rests on it")] = 3,
    as_json: Json = False,
) -> None:
    """Say where an entry comes from, what became of it, what it rests on and what rests on it.

    Example: `crdtmem explain researcher.db facts acme.ceo`
    """
    found = memory.explain(entry_of(memory, what), depth=depth)
    if as_json:
        out.emit(_explained(found))
    else:
        out.say(out.Cell(mark(found.entry), "dim"))
        for line in str(found).splitlines():
            out.say(line)


def _explained(found: Explanation) -> dict[str, Any]:
    return {
        "entry": str(found.entry),
        "status": found.status,
        "retracted": found.retracted,
        "tainted": found.tainted,
        "said": None if found.said is None else out.event_data(found.said),
        "later": [out.event_data(event) for event in found.later],
        "replaced_by": [out.event_data(event) for event in found.replaced_by],
        "rests_on": [_explained(one) for one in found.rests_on],
        "supports": [_explained(one) for one in found.supports],
        "left_out": found.left_out,
        "note": found.note,
    }


@reading
def diff(
    memory: Memory,
    before: Annotated[str, typer.Argument(metavar="BEFORE", help="a version or a moment: 2h, 03:00, 2026-03-14")],
    after: Annotated[
        str | None, typer.Argument(metavar="[AFTER]", help="another; now, if it is not said", show_default=False)
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Say what came and went between two versions or moments, field by field.

    Example: `crdtmem diff researcher.db 2h`
    """
    now = memory._document.now()
    start, end = given.when(before, now), given.when(after, now)
    assert start is not None
    for one in memory.diff(start, end):
        if as_json:
            sides = {"added": one.added, "removed": one.removed}
            listed = {side: [out.entry_data(entry, one.kind) for entry in some] for side, some in sides.items()}
            out.emit({"field": one.field, "kind": one.kind, **listed})
            continue
        out.say(out.Cell(one.field, "bold"), out.Cell(f"  {one.kind}", "dim"))
        cells: list[list[out.Cell | str]] = []
        for sign, style, some in (("-", "red", one.removed), ("+", "green", one.added)):
            for entry in some:
                key = f"{out.line(entry.key, 60)}: " if one.kind == "records" else ""
                why = f"  why: {one_line(entry.why)}" if entry.why else ""
                cells.append(
                    [out.Cell(sign, style), out.Cell(f"{key}{out.line(entry.value)}{why}", style), out.author(entry.by)]
                )
        out.table(cells, fold=1)
