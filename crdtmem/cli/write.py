"""The commands that write: one verb for each thing one can do to a field; the type of the field decides the rest.

Each prints the name of the entry it made, for `--because` and `retract`.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from crdtmem import Entry, Memory, MisuseError, NoMatch
from crdtmem.cli import given, out
from crdtmem.cli.frame import Json, writing
from crdtmem.cli.pick import Field, entry_of, index_of, kind_of
from crdtmem.entry import Attributes
from crdtmem.mark import mark

Value = Annotated[str, typer.Argument(metavar="VALUE", help="a text; - takes standard input")]
Key = Annotated[str, typer.Argument(metavar="KEY", help="the key of a record")]
AsJson = Annotated[bool, typer.Option("--json-value", help="the value is JSON: a number, a list, an object")]
Seen = Annotated[
    str | None,
    typer.Option(metavar="VERSION", help="the version it was decided at: what came since stays", show_default=False),
]


@writing
def assign(
    memory: Memory,
    said: Attributes,
    field: Field,
    value: Value,
    *,
    json_value: AsJson = False,
    seen: Seen = None,
    as_json: Json = False,
) -> None:
    """Give a register its value.

    Example: `crdtmem set researcher.db status done --as ann --why "all tests green"`
    """
    found = given.value(value, as_json=json_value)
    _made(memory.register(field).assign(found, seen=seen, **said), "register", as_json=as_json)


@writing
def add(
    memory: Memory,
    said: Attributes,
    field: Field,
    value: Value,
    *,
    json_value: AsJson = False,
    counter: Annotated[bool, typer.Option("--counter", help="begin a counter with it, not a set")] = False,
    as_json: Json = False,
) -> None:
    """Add a member to a set, or an amount to a counter. A field that is not there becomes a set.

    Example: `crdtmem add researcher.db facts "churn is 4.7 %" --why "CRM export" --tag churn`
    """
    kind = memory.fields().get(field, "counter" if counter else "set")
    if counter or kind == "counter":
        _made(memory.counter(field).add(_amount(value), **said), "counter", as_json=as_json)
    else:
        _made(memory.set(field).add(given.value(value, as_json=json_value), **said), "set", as_json=as_json)


def _amount(text: str) -> int:
    try:
        return int(given.typed(text))
    except ValueError:
        raise MisuseError(f"{text[:40]!r}: a counter counts in whole numbers, as 5 or -5") from None


@writing
def append(
    memory: Memory,
    said: Attributes,
    field: Field,
    value: Value,
    *,
    json_value: AsJson = False,
    text: Annotated[bool, typer.Option("--text", help="begin a text with it, not a sequence")] = False,
    as_json: Json = False,
) -> None:
    """Put a value at the end of a sequence, or words at the end of a text. A field not there becomes a sequence.

    A text takes standard input to the byte, with the newline at its end.

    Example: `crdtmem append researcher.db plan "ask finance"`
    """
    kind = memory.fields().get(field, "text" if text else "sequence")
    if text or kind == "text":
        _made(memory.text(field).append(given.typed(value), **said), "text", as_json=as_json)
    else:
        found = given.value(value, as_json=json_value)
        _made(memory.sequence(field).append(found, **said), "sequence", as_json=as_json)


@writing
def put(
    memory: Memory,
    said: Attributes,
    field: Field,
    key: Key,
    value: Value,
    *,
    json_value: AsJson = False,
    seen: Seen = None,
    as_json: Json = False,
) -> None:
    """Write the whole value of a key in records.

    Example: `crdtmem put researcher.db facts acme.ceo "R. Chen" --confidence 0.8`
    """
    found = given.value(value, as_json=json_value)
    _made(memory.records(field).put(key, found, seen=seen, **said), "records", as_json=as_json)


@writing
def merge(
    memory: Memory,
    said: Attributes,
    field: Field,
    key: Key,
    patch: Annotated[str, typer.Argument(metavar="JSON", help="an object; - takes standard input")],
    *,
    as_json: Json = False,
) -> None:
    """Write only these sub-keys of a record; what others write to other ones holds too.

    Example: `crdtmem merge researcher.db orders 42 '{"state": "paid"}'`
    """
    found = given.value(patch, as_json=True)
    _made(memory.records(field).merge(key, found, **said), "records", as_json=as_json)


@writing
def replace(
    memory: Memory,
    said: Attributes,
    field: Field,
    old: Annotated[str, typer.Argument(metavar="OLD", help="words of a text; an index in a sequence, or an entry")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="what takes their place; - takes standard input")],
    *,
    json_value: AsJson = False,
    as_json: Json = False,
) -> None:
    """Put words in the place of others in a text, or a value in the place of another in a sequence.

    Words must occur in the text just once: nothing is replaced by guessing.

    Example: `crdtmem replace researcher.db draft "3.1 %" "4.7 %" --why "the export was corrected"`
    """
    kind = kind_of(memory, field)
    if kind == "text":
        entry = memory.text(field).replace(old, given.value(new, as_json=False), **said)
        if entry is not None:
            _made(entry, kind, as_json=as_json)
    elif kind == "sequence":
        found = given.value(new, as_json=json_value)
        _made(memory.sequence(field).replace(_in_sequence(memory, field, old), found, **said), kind, as_json=as_json)
    else:
        raise MisuseError(f"{field} is a {kind}; a value there is replaced by {_REPLACED[kind]}")


_REPLACED = {
    "register": "crdtmem set",
    "records": "crdtmem put or merge",
    "set": "crdtmem remove and add",
    "counter": "nothing: it only counts",
}


@writing
def remove(
    memory: Memory,
    said: Attributes,
    field: Field,
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[WHAT]",
            help="a member of a set, a key of records, a place in a sequence, words of a text; nothing of a register",
            show_default=False,
        ),
    ] = None,
    *,
    json_value: AsJson = False,
    as_json: Json = False,
) -> None:
    """Take something out of a field. What others write at the same time stays; the audit keeps it all.

    To say that an entry was wrong, so that what rests on it is marked, use `retract`.

    Example: `crdtmem remove researcher.db open_questions "Why did churn rise?"`
    """
    kind = kind_of(memory, field)
    if kind == "counter":
        raise MisuseError(f"{field} is a counter: nothing is taken out, a negative amount is added; crdtmem add")
    if (what is None) != (kind == "register"):
        raise MisuseError(f"{field} is a {kind}: {'leave ' + repr(what) + ' out' if what else 'say what of it'}")
    target: Any = getattr(memory, kind)(field)
    if kind == "register":
        gone = target.clear(**said)
    elif kind == "sequence":
        gone = target.remove(_in_sequence(memory, field, what or ""), **said)
    elif kind == "text":
        target.replace(given.typed(what or ""), "", **said)
        gone = True
    else:
        member = given.value(what or "", as_json=json_value) if kind == "set" else what
        gone = (target.discard if kind == "set" else target.delete)(member, **said)
    if not gone:
        raise NoMatch(f"{field} holds no {out.line(what, 60)!r}")
    if as_json:
        out.emit({"field": field, "removed": what})


def _in_sequence(memory: Memory, field: str, text: str) -> int | Entry:
    """A place in a sequence, by its index or by the entry that stands there."""
    entries = memory.sequence(field).entries()
    if "." in text or not text.isdigit():
        id = entry_of(memory, [text])
        found = next((entry for entry in entries if entry.id == id), None)
        if found is None:
            raise NoMatch(f"{text!r} does not stand in {field} any more")
        return found
    index = index_of(text)
    if index >= len(entries):
        raise NoMatch(f"{field} has {len(entries)} values, and none at {index}: the first is at 0")
    return index


def _made(entry: Entry, kind: str, *, as_json: bool) -> None:
    if as_json:
        out.emit(out.entry_data(entry, kind))
    else:
        print(mark(entry))
