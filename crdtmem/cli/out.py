"""What commands print: plain lines, JSON, and tables for people.

What agents wrote is data. It reaches a terminal as text alone: what cannot be seen is spelled out, and nothing in it is
taken for markup. Output that nobody reads any more ends the command without a word.
"""

from __future__ import annotations

import json
import os
import sys
from base64 import b64encode
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

from crdtmem import Entry, Event

if TYPE_CHECKING:
    from rich.console import Console

_WIDE = 1000  # columns, where nobody looks: a line is never broken
_COLOURS = ("cyan", "green", "magenta", "blue", "bright_cyan", "bright_green", "bright_magenta", "bright_blue")


class Cell(NamedTuple):
    """A text of a table, and how it looks."""

    text: str
    style: str = ""


def emit(data: object) -> None:
    """One line of JSON, in ASCII.

    >>> emit({"value": "caf\\u00e9 \\x1b[31m", "raw": b"12"})
    {"value": "caf\\u00e9 \\u001b[31m", "raw": {"bytes": "MTI="}}
    """
    print(json.dumps(data, default=portable))


def portable(value: object) -> object:
    """Bytes as JSON has them.

    >>> portable(b"12")
    {'bytes': 'MTI='}
    """
    if isinstance(value, bytes):
        return {"bytes": b64encode(value).decode()}
    raise TypeError(f"{type(value).__name__} is no value of a memory")


def plain(value: Any) -> str:
    """A value for people and scripts: a text as it is, anything else as JSON; what cannot be seen is spelled out.

    >>> plain("two\\nlines"), plain("\\x1b[31mred"), plain({"a": [1, None]})
    ('two\\nlines', '\\\\x1b[31mred', '{"a": [1, null]}')
    """
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=portable)
    return text if text.isprintable() else "".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in text)


def line(value: Any, most: int | None = 200) -> str:
    """A value on one line, shortened unless `most` is None.

    >>> line("two\\nlines"), line("long" * 99, 10)
    ('two\\\\nlines', 'longlon...')
    """
    text = plain(value).replace("\n", "\\n").replace("\t", "\\t")
    return text if most is None or len(text) <= most else f"{text[: most - 3]}..."


def entry_data(entry: Entry, kind: str) -> dict[str, Any]:
    """An entry for programs. What it does not say is left out.

    >>> from crdtmem import Replica
    >>> memory = Replica("ann", time=lambda: 1_700_000_000).open(tenant="acme")
    >>> data = entry_data(memory.register("status").assign("done", why="tests green"), "register")
    >>> data.pop("id") != "", data
    (True, {'field': 'status', 'kind': 'register', 'value': 'done', 'by': 'ann', 'at': '2023-11-14T22:13:20+00:00', \
'why': 'tests green'})
    """
    from crdtmem.lines import attributes

    said: dict[str, Any] = {"id": str(entry.id), "field": entry.field, "kind": kind}
    if kind == "records":
        said["key"] = entry.key
    said |= {"value": entry.value, "by": entry.by, "at": entry.at.isoformat()}
    if kind == "records" and entry.extra is not None:
        said["patch"] = True
    if kind == "counter":
        said["amount"] = entry.extra
    return said | attributes(entry)


def event_data(event: Event) -> dict[str, Any]:
    """An event of the audit for programs. What it does not say is left out."""
    said: dict[str, Any] = {
        "when": event.when.isoformat(),
        "by": event.by,
        "role": event.role,
        "action": event.action,
        "field": event.field,
        "kind": event.kind,
        "key": event.key,
        "entry": event.entry and str(event.entry),
        "via": event.via and str(event.via),
        "why": event.why,
        "because": [str(id) for id in event.because],
        "confidence": event.confidence,
        "tags": list(event.tags),
        "source": event.source if event.source != "agent" else None,
        "note": event.note,
        "session": event.session.hex(),
        "seq": event.seq,
    }
    said = {name: value for name, value in said.items() if value not in (None, [])}
    return said if event.action in ("voided", "lost") or event.note else said | {"value": event.value}


def console() -> Console:
    """Where tables go: as wide as the terminal, in its colours; anywhere else as wide as need be, without any."""
    from rich.console import Console

    wide = None if sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit() else _WIDE
    return Console(markup=False, highlight=False, emoji=False, soft_wrap=False, width=wide)


def when(at: datetime, now: float) -> str:
    """A moment, as short as it can be: the time if it was today, else the date, in UTC.

    >>> (
    ...     when(datetime(2026, 3, 14, 3, 5, tzinfo=UTC), 1_773_500_000),
    ...     when(datetime(2026, 3, 1, tzinfo=UTC), 1_773_500_000),
    ... )
    ('03:05', '03-01')
    """
    today = datetime.fromtimestamp(now, UTC)
    if at.date() == today.date():
        return f"{at:%H:%M}"
    return f"{at:%m-%d}" if at.year == today.year else f"{at:%Y-%m-%d}"


def counted(size: int, what: str) -> str:
    """A number of things; their plural is given behind a slash where it is not made by an s.

    >>> counted(1, "entry/entries"), counted(1200, "entry/entries"), counted(2, "change")
    ('1 entry', '1,200 entries', '2 changes')
    """
    one, _, many = what.partition("/")
    return f"{size:,} {one if size == 1 else many or one + 's'}"


def author(name: str, shown: str = "") -> Cell:
    """An agent, in a colour of its own that is the same everywhere."""
    return Cell(shown or name, _COLOURS[crc32(name.encode()) % len(_COLOURS)])


def say(*cells: Cell | str, indent: int = 0, hang: int = 0) -> None:
    """A line of text in colours, broken at the width of the terminal.

    Args:
        cells: its parts.
        indent: spaces before all of it.
        hang: spaces before what does not fit the first line.
    """
    from rich.text import Text

    target = console()
    text = Text.assemble(*map(_styled, cells))
    lines = text.wrap(target, max(target.width - indent - hang, 10))
    padded = [Text(" " * (indent + (hang if nth else 0))) + line for nth, line in enumerate(lines)]
    _print(Text("\n").join(padded), target)


def table(rows: Iterable[Sequence[Cell | str]], *, head: Sequence[str] = (), fold: int = -1) -> None:
    """Rows in columns.

    Args:
        rows: their cells.
        head: the names of the columns.
        fold: the column that gives way where there is little room; its texts go on in further lines.
    """
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False, show_header=bool(head), header_style="dim", padding=(0, 2, 0, 0))
    listed = [*rows]
    width = max([len(head), *map(len, listed)], default=0)
    for at in range(width):
        gives_way = at == fold % width
        name = head[at] if head else ""
        made.add_column(name, no_wrap=not gives_way, overflow="fold" if gives_way else "ellipsis")
    for row in listed:
        made.add_row(*(Text(*_styled(cell)) for cell in row))
    if listed:
        _print(made, console())


def _styled(cell: Cell | str) -> tuple[str, str]:
    """The one place where text that agents wrote comes near the terminal."""
    text, style = cell if isinstance(cell, Cell) else (cell, "")
    return plain(text), style


def _print(shown: Any, target: Console) -> None:
    """What rich makes of it, without the spaces at the ends of lines."""
    with target.capture() as made:
        target.print(shown)
    print("\n".join(text.rstrip() for text in made.get().splitlines()))
