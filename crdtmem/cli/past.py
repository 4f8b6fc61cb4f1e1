"""`audit`, `explain`, `diff`: what became of entries, one by one."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from crdtmem import Event, Memory
from crdtmem.cli import given, out
from crdtmem.cli.frame import Json, reading
from crdtmem.cli.pick import What, entry_of
from crdtmem.cli.timeline import VERBS, By, Grep, OfField, Role, Since, Until, asked_of
from crdtmem.explain import Explanation
from crdtmem.mark import mark
from crdtmem.timeline import one_line


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
    asked = asked_of(memory, field, by, role, since, until, text)
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
    style = VERBS.get(event.action, "")
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
