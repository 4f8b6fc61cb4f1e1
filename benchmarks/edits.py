"""What is written in the workloads B1 to B3 of crdt-benchmarks, and in editing traces: pure data.

The definitions are those of https://github.com/dmonad/crdt-benchmarks; the random choices are our own.
"""

from __future__ import annotations

import gzip
import io
import json
import random
import re
import string
import zlib
from collections.abc import Iterator, Sequence
from math import isqrt
from pathlib import Path
from typing import Any, NamedTuple

Content = str | list[int]
Edit = tuple[int, int, Content]  # where, how much goes, what comes
MAX_TRACE = 64 << 20  # bytes of a trace, unpacked
MAX_EDITS = 1_000_000  # of one
MAX_TEXT = 1 << 20  # characters that its text may ever have
LETTERS = string.ascii_lowercase


class Alone(NamedTuple):
    """One user's edits, each an update of its own."""

    name: str
    edits: Sequence[Edit]
    begun: Content = ""


class Both(NamedTuple):
    """Edits of two users who share a text and do not hear of each other meanwhile."""

    name: str
    begun: str
    one: Sequence[Edit]
    other: Sequence[Edit]


class Crowd(NamedTuple):
    """One write each by many users: the value of one key, or an item in front of one list."""

    name: str
    values: Sequence[Any]
    listed: bool = False


def after(begun: Content, edits: Sequence[Edit]) -> Content:
    """What they come to.

    >>> after("churn", [(5, 0, " rose"), (0, 1, "C")])
    'Churn rose'
    >>> after([], [(0, 0, [1, 3]), (1, 0, [2])])
    [1, 2, 3]
    """
    shown: Any = begun
    for at, gone, content in edits:
        shown = shown[:at] + content + shown[at + gone :]
    found: Content = shown
    return found


# -- B1: one user ----------------------------------------------------------------------------------


def b1(size: int, chance: random.Random) -> Iterator[Alone]:
    """The eleven of one user, of so many edits each or one of so many units."""
    word = _word(chance, size)
    yield Alone("B1.1 append characters", [(at, 0, char) for at, char in enumerate(word)])
    yield Alone("B1.2 insert a string", [(0, 0, word)])
    yield Alone("B1.3 prepend characters", [(0, 0, char) for char in word])
    yield Alone("B1.4 insert characters at random", _inserts(chance, 0, size, 1, 1))
    yield Alone("B1.5 insert words at random", _inserts(chance, 0, size, 2, 10))
    yield Alone("B1.6 insert a string and delete it", [(0, 0, word), (0, size, "")])
    yield Alone("B1.7 insert and delete at random", _mixed(chance, 0, size))
    numbers = [chance.randrange(1 << 31) for _ in range(size)]
    yield Alone("B1.8 append numbers", [(at, 0, [number]) for at, number in enumerate(numbers)], [])
    yield Alone("B1.9 insert a list of numbers", [(0, 0, numbers)], [])
    yield Alone("B1.10 prepend numbers", [(0, 0, [number]) for number in numbers], [])
    places = [(chance.randint(0, at), 0, [number]) for at, number in enumerate(numbers)]
    yield Alone("B1.11 insert numbers at random", places, [])


# -- B2: two users ---------------------------------------------------------------------------------


def b2(size: int, chance: random.Random) -> Iterator[Both]:
    """The four of two users, who begin with a text of a hundred characters."""
    begun = _word(chance, 100)
    strings = [[(0, 0, _word(chance, size))] for _ in range(2)]
    yield Both("B2.1 both insert a string in front", begun, *strings)
    characters = [_inserts(chance, 100, size, 1, 1) for _ in range(2)]
    yield Both("B2.2 both insert characters at random", begun, *characters)
    words = [_inserts(chance, 100, size, 3, 9) for _ in range(2)]
    yield Both("B2.3 both insert words at random", begun, *words)
    yield Both("B2.4 both insert and delete at random", begun, *[_mixed(chance, 100, size) for _ in range(2)])


# -- B3: many users --------------------------------------------------------------------------------


def b3(size: int) -> Iterator[Crowd]:
    """The four of 20 times the root of `size` users."""
    users = range(20 * isqrt(size))
    yield Crowd("B3.1 many set a number", list(users))
    yield Crowd("B3.2 many set an object", [{"name": str(user), "address": "here"} for user in users])
    yield Crowd("B3.3 many set a string", [str(user) * len(users) for user in users])
    yield Crowd("B3.4 many insert in front of a list", [str(user) for user in users], listed=True)


def _word(chance: random.Random, size: int) -> str:
    return "".join(chance.choices(LETTERS, k=size))


def _inserts(chance: random.Random, length: int, count: int, least: int, most: int) -> list[Edit]:
    edits: list[Edit] = []
    for _ in range(count):
        word = _word(chance, chance.randint(least, most))
        edits.append((chance.randint(0, length), 0, word))
        length += len(word)
    return edits


def _mixed(chance: random.Random, length: int, count: int) -> list[Edit]:
    edits: list[Edit] = []
    for _ in range(count):
        at = chance.randint(0, length)
        if at == length or chance.random() < 0.5:
            word = _word(chance, chance.randint(2, 10))
            edits.append((at, 0, word))
            length += len(word)
        else:
            gone = chance.randint(1, min(9, length - at))
            edits.append((at, gone, ""))
            length -= gone
    return edits


# -- traces ----------------------------------------------------------------------------------------


def typing(count: int, chance: random.Random) -> Alone:
    """A made-up session at the keyboard: so many keys, struck where the last one was, but for a jump now and then."""
    edits: list[Edit] = []
    at = length = 0
    for _ in range(count):
        key = chance.random()
        if key < 0.02:
            at = chance.randint(0, length)
        if key < 0.1 and at:
            at, length = at - 1, length - 1
            edits.append((at, 1, ""))
        else:
            edits.append((at, 0, chance.choice(LETTERS)))
            at, length = at + 1, length + 1
    return Alone("typing, made up", edits)


class BadTrace(Exception):
    """A file is no editing trace, and why."""


def traces(folder: Path) -> list[Path]:
    """The files of a folder that are named as editing traces are: `*.json.gz` and `trace.js`."""
    return sorted([*folder.glob("*.json.gz"), *folder.glob("trace.js")])


def read_trace(path: Path) -> Alone:
    """A trace that was recorded.

    Two forms are read: that of https://github.com/josephg/editing-traces (a sequential one,
    as `automerge-paper.json.gz`), and that of https://github.com/automerge/automerge-perf (`edit-by-index/trace.js`).

    Raises:
        BadTrace: the file has neither, or does not come to the text that it says it comes to.
    """
    try:
        text = _unpacked(path.read_bytes()).decode()
        begun, edits, end = _recorded(text) if path.suffix == ".gz" else _listed(text)
        _check(begun, edits, end)
    except (OSError, EOFError, zlib.error, ValueError, TypeError, KeyError, RecursionError) as error:
        raise BadTrace(f"{path.name} is no editing trace: {error or type(error).__name__}") from error
    return Alone(path.name.partition(".")[0], edits, begun)


def _unpacked(data: bytes) -> bytes:
    if data[:2] == b"\x1f\x8b":
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            data = file.read(MAX_TRACE + 1)
    if len(data) > MAX_TRACE:
        raise ValueError(f"it has more than {MAX_TRACE:,} bytes")
    return data


def _check(begun: str, edits: list[Edit], end: str) -> None:
    text = begun
    if len(edits) > MAX_EDITS:
        raise ValueError(f"it has more than {MAX_EDITS:,} edits")
    for number, edit in enumerate(edits):
        if edit[0] + edit[1] > len(text):
            raise ValueError(f"edit {number:,} is beyond the end of its text")
        text = str(after(text, [edit]))
        if len(text) > MAX_TEXT:
            raise ValueError(f"its text has more than {MAX_TEXT:,} characters after edit {number:,}")
    if text != end:
        raise ValueError("its edits do not come to the text at its end")


def _recorded(text: str) -> tuple[str, list[Edit], str]:
    told = json.loads(text)
    if not isinstance(told, dict):
        raise TypeError("an object is wanted")
    if told.get("kind") == "concurrent":
        raise ValueError("it is of several users; only traces of one are read")
    patches = [patch for change in told["txns"] for patch in change["patches"]]
    return _text(told["startContent"]), [_edit(*patch) for patch in patches], _text(told["endContent"])


def _listed(text: str) -> tuple[str, list[Edit], str]:
    edits, end = (_assigned(text, name) for name in ("edits", "finalText"))
    return "", [_edit(at, gone, "".join(content)) for at, gone, *content in edits], _text(end)


def _assigned(text: str, name: str) -> Any:
    found = re.search(rf"\b{name}\s*=\s*", text)
    if found is None:
        raise ValueError(f"it does not say {name} = ...")
    return json.JSONDecoder().raw_decode(text, found.end())[0]


def _edit(at: object, gone: object, content: object) -> Edit:
    if type(at) is not int or type(gone) is not int or at < 0 or gone < 0:
        raise ValueError(f"an edit that is not at a place: {at!r:.20}, {gone!r:.20}")
    return at, gone, _text(content)


def _text(content: object) -> str:
    if not isinstance(content, str):
        raise TypeError(f"text is wanted, not {content!r:.40}")
    return content
