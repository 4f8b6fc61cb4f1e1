"""Taking in JSON lines: each becomes a new entry, by whoever takes it in, with `source="import"`.

Its reason says who wrote it and when, as the line claims. A register, or a key, takes the value in place of what it
holds; further lines for the same one stand beside it, as siblings did. Sets unite, counters add up, sequences and texts
are appended to: taking in the same lines twice does that twice. What a line cites is the entry that a line above it
became, or else the one it names. All lines are read and checked before the first is written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from crdtmem.change import COUNTER, KINDS, RECORDS, REGISTER, SEQUENCE, SET, TEXT, is_field, is_key
from crdtmem.entry import MAX_TAGS, MAX_WHY, Attributes, Entry, EntryId, about
from crdtmem.errors import BadBytes, CrdtmemError, ValueRefused
from crdtmem.lines import FORMAT, NAMES, meant
from crdtmem.values import freeze

if TYPE_CHECKING:
    from crdtmem.memory import Memory

MAX_LINE = 4 << 20
_AT_ONCE, _BYTES = 512, 512 << 10  # lines of one change, and bytes of them
_NUMBERS = {word: kind for kind, word in KINDS.items()}


class Loaded(NamedTuple):
    """What came of lines: entries, in how many changes; and how many lines had outlived their time."""

    entries: int
    changes: int
    expired: int


@dataclass(frozen=True, slots=True)
class Line:
    """One line, checked: what is to be written."""

    number: int
    size: int
    id: str | None
    kind: int
    field: str
    key: str | None
    value: Any
    because: tuple[str, ...]
    about: Attributes
    expired: bool


def load(memory: Memory, path: str | os.PathLike[str]) -> Loaded:
    """Write what the lines of a file say, as new entries, and say how many.

    Nothing is written unless all lines can be read. Then they are written in changes of up to 512 lines; should one be
    refused, by the store or by the rules, the error says up to which line they were written.

    Raises:
        BadBytes: a line cannot be read; the message says which, and why. Nothing was written.

    >>> from pathlib import Path
    >>> from crdtmem import Replica
    >>> _ = Path("notes.jsonl").write_text('{"field": "notes", "kind": "sequence", "value": "call Bob", "by": "cid"}')
    >>> memory = Replica("ann").open(tenant="acme")
    >>> load(memory, "notes.jsonl")
    Loaded(entries=1, changes=1, expired=0)
    >>> [(note.value, note.by, note.why) for note in memory.sequence("notes").entries()]
    [('call Bob', 'ann', 'written by cid')]
    """
    with open(path, "rb") as file:
        if not file.seekable():
            raise BadBytes(f"{os.fspath(path)} is a pipe; lines are read twice: save them to a file first")
        return _Loading(memory, os.fspath(path), file).run()


class _Loading:
    def __init__(self, memory: Memory, path: str, file: BinaryIO) -> None:
        self._memory = memory
        self._path = path
        self._file = file
        self._now = memory._document.now()
        self._cited: dict[str, Entry | EntryId | None] = {}  # the lines that others cite, and what became of them
        self._held: set[tuple[str, str | None]] = set()  # the registers, and keys, that were written to
        self._last = self._entries = self._changes = 0

    def run(self) -> Loaded:
        expired = 0
        for line in self._lines():
            self._cited.update(dict.fromkeys(line.because))
        heap: list[Line] = []
        places: set[Any] = set()  # the registers, and keys, in it: one change says one value of each
        size = 0
        for line in self._lines():
            if line.expired:
                expired += 1
                continue
            place = (line.field, line.key) if line.kind in (REGISTER, RECORDS) else None
            if heap and (len(heap) == _AT_ONCE or size + line.size > _BYTES or place in places):
                self._write(heap)
                heap, places, size = [], set(), 0
            heap.append(line)
            if place is not None:
                places.add(place)
            size += line.size
        if heap:
            self._write(heap)
        return Loaded(self._entries, self._changes, expired)

    def _write(self, heap: list[Line]) -> None:
        """Make one change of these."""
        made: list[tuple[Line, Entry]] = []
        try:
            with self._memory.change():
                for line in heap:
                    entry = self._entry(line)
                    made.append((line, entry))
                    if line.id in self._cited:
                        self._cited[line.id] = entry
        except CrdtmemError as error:
            before = f"lines up to {self._last} were written, and then" if self._last else "nothing was written"
            raise type(error)(f"{self._path}: {before}: {error}") from error
        for line, entry in made:
            if line.id in self._cited:
                self._cited[line.id] = entry.id
        self._last = heap[-1].number
        self._entries += len(heap)
        self._changes += 1

    def _entry(self, line: Line) -> Entry:
        memory, name, value = self._memory, line.field, line.value
        because = [self._cited[id] or EntryId.parse(id) for id in line.because]
        said: Attributes = {**line.about, "because": because, "source": "import"}
        if line.kind == COUNTER:
            return memory.counter(name).add(value, **said)
        if line.kind in (SEQUENCE, TEXT):
            ordered: Any = memory.text(name) if line.kind == TEXT else memory.sequence(name)
            return ordered.append(value, **said)  # type: ignore[no-any-return]
        if line.kind == SET:
            return memory.set(name).add(value, **said)
        if (name, line.key) in self._held:
            return memory._write((line.kind, name), _beside, said, line.key, freeze(value))
        self._held.add((name, line.key))
        if line.key is None:
            return memory.register(name).assign(value, **said)
        return memory.records(name).put(line.key, value, **said)

    # -- reading -----------------------------------------------------------------------------------

    def _lines(self) -> Iterator[Line]:
        """All of them, checked."""
        self._file.seek(0)
        kinds: dict[str, int] = {}
        number = 0
        while data := self._file.readline(MAX_LINE + 1):
            number += 1
            try:
                if len(data) > MAX_LINE:
                    raise ValueRefused(f"more than {MAX_LINE} bytes, which no entry has")
                line = self._read(number, data)
                if line is not None:
                    if kinds.setdefault(line.field, line.kind) != line.kind:
                        raise ValueRefused(f"field: {line.field!r} is a {KINDS[kinds[line.field]]} in a line above")
                    getattr(self._memory, KINDS[line.kind])(line.field)
                    yield line
            except (CrdtmemError, ValueError, TypeError, RecursionError) as error:
                said = "nested too deep" if isinstance(error, RecursionError) else error
                raise BadBytes(f"{self._path}, line {number}: {said}. Nothing was written") from None

    def _read(self, number: int, data: bytes) -> Line | None:
        """A line; None if it is empty, or the head."""
        text = data.decode("utf-8-sig" if number == 1 else "utf-8").strip()
        if not text:
            return None
        told = _JSON.decode(text)
        if type(told) is not dict:
            raise ValueRefused("a JSON object, as in " + _EXAMPLE)
        if number == 1 and told.get("crdtmem") == "lines":
            if told.get("format") != FORMAT:
                raise ValueRefused(f"lines of format {told.get('format')!r:.20}; this program reads format {FORMAT}")
            return None
        unknown = sorted(told.keys() - set(NAMES))
        if unknown:
            raise ValueRefused(f"unknown name {unknown[0]!r:.60}; a line has {', '.join(NAMES)}")
        return self._checked(number, len(data), told)

    def _checked(self, number: int, size: int, told: dict[str, Any]) -> Line:
        lacks = [name for name in ("field", "kind", "value") if name not in told]
        if lacks:
            raise ValueRefused(f"no {lacks[0]}; a line says at least {_EXAMPLE}")
        kind = _NUMBERS.get(told["kind"]) if isinstance(told["kind"], str) else None
        if kind is None:
            raise ValueRefused(f"kind: one of {', '.join(_NUMBERS)}, not {told['kind']!r:.40}")
        field, key, value = told["field"], told.get("key"), meant(told["value"])
        if not isinstance(field, str) or not is_field(field) or field[0] == "@":
            raise ValueRefused(f"field: the printable name of a field, not {field!r:.60}")
        if (kind == RECORDS) != isinstance(key, str) or (key is not None and not is_key(key)):
            raise ValueRefused("key: a text of at most 1024 characters, for records and nothing else")
        freeze(key, "key")
        freeze(value)
        if (kind == COUNTER and type(value) is not int) or (kind == TEXT and not (isinstance(value, str) and value)):
            raise ValueRefused(f"value: a {'whole number' if kind == COUNTER else 'text'}, not {value!r:.40}")
        because = _texts("because", told)
        for text in because:
            EntryId.parse(text)
        at = _moment("at", told)
        ttl = _number("ttl", told)
        if ttl is not None and at is not None:
            ttl -= self._now - at.timestamp()
        expired = ttl is not None and "at" in told and ttl <= 0
        said: Attributes = {
            "why": _why(told, at),
            "confidence": _number("confidence", told),
            "tags": [*_texts("tags", told)[: MAX_TAGS - 1], "tainted"] if told.get("tainted") else _texts("tags", told),
            "ttl": None if expired else ttl,
            "valid": (_moment("valid_from", told), _moment("valid_until", told)),
        }
        about(said)
        return Line(number, size, _text("id", told), kind, field, key, value, because, said, expired)


def _beside(part: Any, said: Any, key: str | None, frozen: Any) -> Entry:
    """A sibling of what stands there."""
    return part.add(key, frozen, said)  # type: ignore[no-any-return]


def _why(told: dict[str, Any], at: datetime | None) -> str | None:
    """The reason, and who gave it."""
    why, by = _text("why", told), _text("by", told)
    who = "written" + (f" by {by[:200]}" if by else "") + (f" at {at.isoformat(' ', 'seconds')[:19]} UTC" if at else "")
    if not by and not at:
        return why
    return who if not why else f"{why[: MAX_WHY - len(who) - 3]} ({who})"


def _text(name: str, told: dict[str, Any]) -> str | None:
    text = told.get(name)
    if text is not None and not isinstance(text, str):
        raise ValueRefused(f"{name}: a text, not {text!r:.40}")
    return text


def _texts(name: str, told: dict[str, Any]) -> tuple[str, ...]:
    texts = told.get(name) or []
    if type(texts) is not list or not all(isinstance(text, str) for text in texts):
        raise ValueRefused(f"{name}: a list of texts, not {texts!r:.40}")
    return tuple(texts)


def _number(name: str, told: dict[str, Any]) -> float | None:
    number = told.get(name)
    if number is not None and type(number) not in (int, float):
        raise ValueRefused(f"{name}: a number, not {number!r:.40}")
    return number


def _moment(name: str, told: dict[str, Any]) -> datetime | None:
    text = _text(name, told)
    if text is None:
        return None
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueRefused("a name stands there twice")
    return found


def _no_number(word: str) -> None:
    raise ValueRefused(f"{word} is no number")


_JSON = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_number)
_EXAMPLE = '{"field": "facts", "kind": "set", "value": "churn is 4.7 %"}'
