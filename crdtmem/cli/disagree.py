"""`conflicts` and `resolve`: what stands side by side and cannot all hold, and settling it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from crdtmem import Conflict, Entry, Memory, MisuseError, NoMatch
from crdtmem.cli import given, out
from crdtmem.cli.frame import Json, acting, reading
from crdtmem.cli.pick import fields
from crdtmem.mark import mark, marked


@reading
def conflicts(memory: Memory, *, as_json: Json = False) -> None:
    """List every open conflict: concurrent values that differ, with their authors.

    What contradicts itself only in meaning is found by `crdtmem check`.

    Example: `crdtmem conflicts researcher.db`
    """
    found = memory.conflicts()
    now = memory._document.now()
    for one in found:
        kind = "register" if one.key is None else "records"
        if as_json:
            out.emit({"field": one.field, "key": one.key, "entries": [out.entry_data(e, kind) for e in one.entries]})
            continue
        out.say(out.Cell(_place(one), "bold"))
        rows: list[list[out.Cell | str]] = []
        for entry in one.entries:
            sure = "" if entry.confidence is None else f"{entry.confidence:g}"
            when = out.Cell(out.when(entry.at, now), "dim")
            rows.append([out.Cell(mark(entry), "dim"), out.line(entry.value), out.author(entry.by), when, sure])
        out.table(rows, fold=1)
    if not found and not as_json:
        out.say("no conflicts")


def _place(one: Conflict) -> str:
    return one.field if one.key is None else f"{one.field} {out.line(one.key, 60)}"


@acting
def resolve(
    memory: Memory,
    why: str,
    what: Annotated[
        list[str],
        typer.Argument(metavar="WHAT...", help="a field, a field and a key, or a finding", autocompletion=fields),
    ],
    *,
    keep: Annotated[str | None, typer.Option(metavar="ENTRY", help="the entry that holds", show_default=False)] = None,
    value: Annotated[
        str | None, typer.Option(help="for a conflict: another value, which holds from now on", show_default=False)
    ] = None,
    json_value: Annotated[bool, typer.Option("--json-value", help="the value is JSON")] = False,
    how: Annotated[
        str | None,
        typer.Option("--how", metavar="HOW", help="for a finding: both, mistaken or merge", show_default=False),
    ] = None,
    because: Annotated[list[str], typer.Option(metavar="ENTRY", help="what it rests on; again for more")] = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Settle a conflict, or a finding of `crdtmem check --file`.

    A conflict is settled by writing the value that holds, over all that stand there; --keep takes it from one of them.
    A finding is settled by naming the entry that holds, or how else it is: both hold, it is mistaken, they were merged.
    It opens again when what the decision rests on falls. Settling a finding takes no entry out: `retract` does.

    Example: `crdtmem resolve researcher.db status --keep 3fa9c1d2.7 --why "bob had not seen the export"`
    """
    sessions = memory._document.state.sessions
    kept = None if keep is None else marked(keep, sessions)
    premises = [marked(text, sessions) for text in because]
    conflict = next((one for one in memory.conflicts() if _meant(one, what)), None)
    if conflict is None:
        done = _settle(memory, what, kept, how, why=why, because=premises)
    elif how is not None or (kept is None) == (value is None):
        raise MisuseError(
            f"{_place(conflict)} is a conflict: say --keep and one of its entries, or --value: {conflict}"
        )
    else:
        chosen = [entry for entry in conflict.entries if entry.id == kept]
        if kept is not None and not chosen:
            marks = ", ".join(map(mark, conflict.entries))
            raise NoMatch(f"{keep} is none of the entries of this conflict: {marks}")
        holds = _value(memory, conflict, chosen[0]) if chosen else given.value(value or "", as_json=json_value)
        said: Any = {"why": why, "because": [*chosen, *premises]}
        if conflict.key is None:
            done = memory.register(conflict.field).assign(holds, **said)
        else:
            done = memory.records(conflict.field).put(conflict.key, holds, **said)
    if as_json:
        out.emit({"resolution": str(done.id)})
    else:
        print(mark(done))


def _meant(one: Conflict, what: Sequence[str]) -> bool:
    return [one.field] == [*what] if one.key is None else [one.field, one.key] == [*what]


def _value(memory: Memory, conflict: Conflict, chosen: Entry) -> Any:
    """What holds when one of the rivals does: its value, or its sub-keys over those that nobody disputes."""
    if conflict.key is None or chosen.extra is None:
        return chosen.value
    now = memory.records(conflict.field)[conflict.key]
    return {**now, **chosen.value} if isinstance(now, dict) else chosen.value


def _settle(memory: Memory, what: Sequence[str], kept: Any, how: str | None, *, why: str, because: list[Any]) -> Entry:
    """Settle a finding that was filed."""
    from crdtmem.coherence import findings
    from crdtmem.coherence import resolve as settle

    found = [one for one in findings(memory) if len(what) == 1 and len(what[0]) > 3 and one.id.startswith(what[0])]
    if len(found) != 1:
        raise NoMatch(
            f"{' '.join(what)!r} is no conflict and no finding here; crdtmem conflicts lists the ones, "
            "crdtmem check the others, and check --file files them"
        )
    if (kept is None) == (how is None):
        raise MisuseError("a finding: say --keep and the entry that holds, or --how both, mistaken or merge")
    return settle(memory, found[0], how or "keep", keep=kept, why=why, because=because)
