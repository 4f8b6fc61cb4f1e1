"""`retract`, `affirm`, `undo`, `restore`: acting on the past, each with a reason that stays."""

from __future__ import annotations

from typing import Annotated

import typer

from crdtmem import Memory
from crdtmem.cli import given, out
from crdtmem.cli.frame import Json, acting
from crdtmem.cli.pick import What, entry_of
from crdtmem.fields.field import oldest_first
from crdtmem.mark import mark


@acting
def retract(memory: Memory, why: str, what: What, *, as_json: Json = False) -> None:
    """Say that an entry was wrong: it goes, and what rests on it is marked as tainted, everywhere.

    Example: `crdtmem retract researcher.db sources churn.csv --why "last year's file"`
    """
    id = entry_of(memory, what)
    state = memory._document.state
    before = set(state.taint.tainted)
    done = memory.retract(id, why=why)
    news = state.find(set(state.taint.tainted) - before)
    fell = oldest_first(entry for entry in news if entry.field[0] != "@")
    if as_json:
        out.emit({"entry": str(id), "retraction": str(done.id), "tainted": [str(entry.id) for entry in fell]})
        return
    some = out.counted(len(fell), "entry that stands rests/entries that stand rest")
    rest = some if fell else "nothing that stands rests"
    out.say("retracted ", mark(id), f"; {rest} on it")
    out.table(
        [[out.Cell("tainted", "red"), mark(one), one.field, out.line(one.value), out.author(one.by)] for one in fell],
        fold=3,
    )
    out.say(out.Cell(f"to take that back: crdtmem undo FILE {mark(done)} --why ...", "dim"))


@acting
def affirm(memory: Memory, why: str, what: What, *, as_json: Json = False) -> None:
    """Say that a tainted entry holds all the same. A later retraction taints it again.

    Example: `crdtmem affirm researcher.db facts churn --why "the new file says the same"`
    """
    id = entry_of(memory, what)
    done = memory.affirm(id, why=why)
    if as_json:
        out.emit({"entry": str(id), "affirmation": str(done.id)})
    else:
        out.say("affirmed ", mark(id))


@acting
def undo(memory: Memory, why: str, what: What, *, as_json: Json = False) -> None:
    """Take back the change that wrote an entry, as far as nothing was built over it; a retraction too.

    Example: `crdtmem undo researcher.db 3fa9c1d2.7 --why "wrong ticket"`
    """
    count = memory.undo(entry_of(memory, what), why=why)
    _counted(count, as_json=as_json)


@acting
def restore(
    memory: Memory,
    why: str,
    version: Annotated[str, typer.Argument(metavar="WHEN", help="a version or a moment: 2h, 03:00, 2026-03-14")],
    *,
    as_json: Json = False,
) -> None:
    """Make a memory what it was, as one new change. Retractions stand, and history keeps all of it.

    Example: `crdtmem restore researcher.db 2h --why "the export was wrong"`
    """
    then = given.when(version, memory._document.now())
    assert then is not None
    _counted(memory.restore(then, why=why), as_json=as_json)


def _counted(count: int, *, as_json: bool) -> None:
    if as_json:
        out.emit({"entries": count})
    else:
        out.say(f"{out.counted(count, 'entry/entries')} came or went" if count else "nothing was to be done")
