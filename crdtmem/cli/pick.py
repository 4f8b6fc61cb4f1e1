"""What a command is about: a field, a place in it, an entry. What is not there is said with what there is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from crdtmem import Entry, EntryId, Memory, MisuseError, NoMatch
from crdtmem.cli import out
from crdtmem.mark import mark, marked


def fields(context: typer.Context, incomplete: str) -> list[str]:
    """The fields that begin so, for the shell; none where there is any trouble."""
    from crdtmem.cli.frame import opened

    try:
        with opened(context.params["file"], context.params.get("which")) as memory:
            return [name for name in memory.fields() if name.startswith(incomplete)]
    except Exception:  # a shell that completes says nothing
        return []


Field = Annotated[str, typer.Argument(metavar="FIELD", help="the name of a field", autocompletion=fields)]
What = Annotated[
    list[str],
    typer.Argument(
        metavar="WHAT...",
        help="an entry, as 3fa9c1d2.7; or a field that holds just one; or a field and a key, a member, an index in it",
        autocompletion=fields,
    ),
]


def kind_of(memory: Memory, field: str) -> str:
    """The type of a field that holds something.

    Raises:
        NoMatch: none of that name does.
    """
    held = memory.fields()
    if field not in held:
        there = ", ".join(list(held)[:20]) or "it is empty"
        raise NoMatch(f"no field {field!r} in this memory; there are: {there}")
    return held[field]


def entry_of(memory: Memory, what: Sequence[str]) -> EntryId:
    """The one entry that is meant.

    Raises:
        NoMatch: there is none, or there are several; then these are named.
    """
    if len(what) == 1 and what[0] not in memory.fields():
        try:
            return marked(what[0], memory._document.state.sessions)
        except NoMatch as error:
            raise NoMatch(f"{error}; nor is it a field: {', '.join(list(memory.fields())[:20]) or 'none'}") from None
    if len(what) > 2:
        raise MisuseError(
            f"an entry, a field, or a field and one place in it, not {len(what)} words; quote what has spaces"
        )
    name, place = what[0], what[1] if len(what) > 1 else None
    found = _entries(memory, kind_of(memory, name), name, place)
    if len(found) == 1:
        return found[0].id
    where = name if place is None else f"{name} {place!r}"
    if not found:
        raise NoMatch(f"{where}: nothing stands there")
    some = "; ".join(f"{mark(one)} {out.line(one.value, 40)} ({one.by})" for one in found[:5])
    raise NoMatch(f"{where}: {len(found)} entries; name one: {some}{' ...' if len(found) > 5 else ''}")


def _entries(memory: Memory, kind: str, name: str, place: str | None) -> list[Entry]:
    field: Any = getattr(memory, kind)(name)
    if place is None:
        return field.entries()  # type: ignore[no-any-return]
    if kind == "records":
        return field.siblings(place)  # type: ignore[no-any-return]
    if kind == "sequence":
        index = index_of(place)
        return field.entries()[index:][:1]  # type: ignore[no-any-return]
    if kind in ("set", "text"):
        return [one for one in field.entries() if place in (one.value, out.plain(one.value))]
    raise MisuseError(f"{name} is a {kind}, which has no places; leave {place!r} out")


def index_of(text: str) -> int:
    """An index into a sequence."""
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise MisuseError(f"{text[:40]!r}: a place in a sequence is an index from 0 on, or an entry, as 3fa9c1d2.7")
    return int(text)
