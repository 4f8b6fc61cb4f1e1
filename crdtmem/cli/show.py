"""`crdtmem show`: what a memory holds."""

from __future__ import annotations

from crdtmem import Memory
from crdtmem.cli import out
from crdtmem.cli.frame import Json, reading


@reading
def show(memory: Memory, as_json: Json = False) -> None:  # noqa: FBT002
    """Show what a memory holds.

    Example: `crdtmem show researcher.db`
    """
    for name, kind in memory.fields().items():
        for entry in getattr(memory, kind)(name).entries():
            if as_json:
                out.emit(out.entry_data(entry, kind))
            else:
                out.say(out.Cell(name, "bold"), " ", out.line(entry.value))
