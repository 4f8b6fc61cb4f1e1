"""`crdtmem show` and `crdtmem get`: what a memory holds, for people and for scripts."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer

from crdtmem import Entry, Memory, MisuseError, NoMatch
from crdtmem.cli import given, out
from crdtmem.cli.frame import At, Json, reading
from crdtmem.cli.naming import named
from crdtmem.cli.pick import Field, fields, index_of, kind_of
from crdtmem.mark import mark


@reading
def show(
    memory: Memory,
    field: Annotated[
        list[str], typer.Argument(help="only these fields", autocompletion=fields, metavar="[FIELD]...")
    ] = [],  # noqa: B006
    *,
    last: Annotated[int, typer.Option("--last", "-n", min=1, help="so many entries of a field, the last ones")] = 20,
    at: At = None,
    as_json: Json = False,
) -> None:
    """Show what a memory holds, with who wrote it and when.

    The first column names an entry for `explain`, `retract` and `--because`. With --json: one object for each entry,
    all of them.

    Example: `crdtmem show researcher.db`
    """
    now = memory._document.now()
    memory = past(memory, at)
    held = {name: kind_of(memory, name) for name in field} if field else memory.fields()
    rivals = {entry.id for conflict in memory.conflicts() for entry in conflict.entries}
    if as_json:
        for name, kind in held.items():
            for entry in getattr(memory, kind)(name).entries():
                more = {"conflict": True} if entry.id in rivals else {}
                out.emit(out.entry_data(entry, kind) | more)
        return
    if not held:
        out.say(f"{named(memory.namespace)} is empty")
    for name, kind in held.items():
        entries = getattr(memory, kind)(name).entries()
        rest = f", the last {last} of {len(entries)}" if len(entries) > last else f", {len(entries)}"
        out.say(
            out.Cell(name, "bold"),
            out.Cell(f"  {kind}{rest if kind not in ('text', 'counter', 'register') else ''}", "dim"),
        )
        out.table(_rows(memory, name, kind, entries, rivals, last, now), fold=_VALUE)


_VALUE = 1  # the column of values, which gives way


def _rows(
    memory: Memory, name: str, kind: str, entries: list[Entry], rivals: set[Any], last: int, now: float
) -> list[list[out.Cell | str]]:
    if kind in ("counter", "text"):
        value = getattr(memory, kind)(name).value
        newest = max(entries, key=lambda one: one.stamp.hlc)
        authors = ", ".join(dict.fromkeys(one.by for one in entries))
        return [
            [
                "",
                out.line(value, 400),
                out.Cell(authors, "dim"),
                out.Cell(out.when(newest.at, now), "dim"),
                _marks(entries, rivals),
            ]
        ]
    rows: list[list[out.Cell | str]] = []
    for entry in entries[-last:]:
        value = f"{out.line(entry.key, 60)}: {out.line(entry.value)}" if kind == "records" else out.line(entry.value)
        when = out.Cell(out.when(entry.at, now), "dim")
        rows.append([out.Cell(mark(entry), "dim"), value, out.author(entry.by), when, _marks([entry], rivals)])
    return rows


def _marks(entries: list[Entry], rivals: set[Any]) -> out.Cell | str:
    if any(entry.tainted for entry in entries):
        return out.Cell("tainted", "red")
    return out.Cell("conflict", "yellow") if any(entry.id in rivals for entry in entries) else ""


@reading
def get(
    memory: Memory,
    field: Field,
    place: Annotated[
        str | None, typer.Argument(metavar="[KEY]", help="the key of a record, or an index", show_default=False)
    ] = None,
    *,
    resolve: Annotated[
        str, typer.Option(help="which value, while several stand: latest, confident, append, merge, escalate")
    ] = "latest",
    at: At = None,
    raw: Annotated[
        bool, typer.Option("--raw", help="to the byte: also what a terminal would take for a command")
    ] = False,
    as_json: Json = False,
) -> None:
    """Print a value, for scripts: a text as it is, anything else as JSON.

    A set, a sequence and records give a line for each value; --json gives one JSON value. Characters that a terminal
    would obey are spelled out, but for --raw. Exits with 1 if there is nothing.

    Example: `crdtmem get researcher.db status`
    """
    memory = past(memory, at)
    kind = kind_of(memory, field)
    value = _value(memory, kind, field, place, resolve)
    if as_json:
        out.emit(value)
    elif raw:
        sys.stdout.write(value if isinstance(value, str) else json.dumps(value, default=out.portable))
    elif place is None and kind == "records":
        for key, one in value.items():
            print(f"{out.line(key, None)}\t{out.line(one, None)}")
    elif place is None and kind in ("set", "sequence"):
        for one in value:
            print(out.line(one, None))
    else:
        print(out.plain(value))


def _value(memory: Memory, kind: str, name: str, place: str | None, resolve: str) -> Any:
    """The value of a field, or of a place in it."""
    if kind == "register":
        found: Any = memory.register(name, resolve=resolve)
        return _no_place(found.value, kind, name, place)
    if kind == "records":
        records = memory.records(name, resolve=resolve)
        if place is None:
            return dict(records)
        if place not in records:
            raise NoMatch(f"{name} has no key {place[:60]!r}")
        return records[place]
    if kind == "sequence":
        values = list(memory.sequence(name))
        if place is None:
            return values
        if index_of(place) >= len(values):
            raise NoMatch(f"{name} has {len(values)} values, and none at {place}: the first is at 0")
        return values[index_of(place)]
    if kind == "set":
        return _no_place(list(memory.set(name)), kind, name, place)
    return _no_place(getattr(memory, kind)(name).value, kind, name, place)


def _no_place(value: Any, kind: str, name: str, place: str | None) -> Any:
    if place is not None:
        raise MisuseError(f"{name} is a {kind}, which has no keys; leave {place[:60]!r} out")
    return value


def past(memory: Memory, at: str | None) -> Memory:
    """The memory as of what `--at` says."""
    then = given.when(at, memory._document.now())
    return memory if then is None else memory.at(then)
