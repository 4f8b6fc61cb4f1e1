"""`crdtmem search` and `crdtmem view`: finding entries, and what a model would read."""

from __future__ import annotations

from typing import Annotated

import typer

from crdtmem import Memory
from crdtmem.cli import given, out
from crdtmem.cli.frame import At, Json, reading
from crdtmem.cli.show import past
from crdtmem.cli.timeline import By, OfField, Role, Since, Until
from crdtmem.mark import mark


@reading
def search(
    memory: Memory,
    query: Annotated[str, typer.Argument(help="words, in any language; '' asks for the newest")],
    *,
    field: OfField = [],  # noqa: B006
    by: By = [],  # noqa: B006
    role: Role = [],  # noqa: B006
    tag: Annotated[list[str], typer.Option(help="only what has this tag; again for more")] = [],  # noqa: B006
    source: Annotated[list[str], typer.Option(help="only from user, agent, tool or import; again for more")] = [],  # noqa: B006
    confidence: Annotated[float | None, typer.Option(help="only what is at least so sure", show_default=False)] = None,
    since: Since = None,
    until: Until = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="so many at most")] = 10,
    at: At = None,
    as_json: Json = False,
) -> None:
    """Find entries by their words, the best first. Any of the words may fit.

    Example: `crdtmem search researcher.db "why did churn rise" --by ann`
    """
    now = memory._document.now()
    hits = past(memory, at).search(
        query,
        limit=limit,
        fields=field or None,
        by=by or None,
        role=role or None,
        tags=tag or None,
        source=source or None,
        since=given.when(since, now),
        until=given.when(until, now),
        confidence=confidence,
    )
    if as_json:
        for hit in hits:
            out.emit(out.entry_data(hit.entry, hit.kind) | {"score": round(hit.score, 6), "tainted": hit.tainted})
        return
    rows: list[list[out.Cell | str]] = []
    for hit in hits:
        place = hit.field if hit.key is None else f"{hit.field} {out.line(hit.key, 24)}"
        note = out.Cell("tainted", "red") if hit.tainted else ""
        rows.append(
            [
                out.Cell(mark(hit.entry), "dim"),
                out.Cell(place, "bold"),
                out.line(hit.value),
                out.author(hit.entry.by),
                note,
            ]
        )
    out.table(rows, fold=2)
    if not hits:
        out.say("nothing found")


@reading
def view(
    memory: Memory,
    *,
    about: Annotated[str, typer.Option(help="what the reader is about to do")] = "",
    role: Annotated[str | None, typer.Option(help="what this role wrote matters more", show_default=False)] = None,
    tokens: Annotated[int, typer.Option(min=0, help="at most so many")] = 4000,
    field: OfField = [],  # noqa: B006
    xml: Annotated[bool, typer.Option("--xml", help="as XML, not as Markdown")] = False,
    at: At = None,
    as_json: Json = False,
) -> None:
    """Print what a model would read of a memory: within a budget, what matters first, each line with an id to cite.

    Example: `crdtmem view researcher.db --about "why did churn rise" --tokens 500`
    """
    from crdtmem.view import View

    made = View(past(memory, at), about=about, role=role, tokens=tokens, sources=field or None)
    text = made.xml() if xml else str(made)
    if as_json:
        entries = {id: str(entry.id) for id, entry in made.entries.items()}
        left = dict(made.left_out)
        out.emit({"version": str(made.version), "text": text, "entries": entries, "left_out": left})
    else:
        print(out.plain(text), end="")
