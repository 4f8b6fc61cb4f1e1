"""A text and a sequence of so many units, ours and of pycrdt alone, and what is done to them over and over."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from operator import iadd
from typing import Any

from pycrdt import Array, Doc, Text

from benchmarks.bulk import SPACE, TIMES, Operation
from benchmarks.harness import Run
from crdtmem import Replica


class Long:
    """A text and a sequence, each of so many units."""

    def __init__(self, size: int) -> None:
        self._memory = Replica("ann").open(SPACE)
        text, sequence = self._memory.text("draft"), self._memory.sequence("log")
        self.insert_text, self.insert_value = text.insert, sequence.insert
        self.append_text, self.append_value = text.append, sequence.append
        self.size = size
        self.chance = random.Random(size)
        for start in range(0, size, 1000):
            some = min(1000, size - start)
            text.append("x" * some)
            sequence.extend(range(some))
        self._reader = Replica("bob").open(SPACE)

    def handed_over(self) -> Run:
        """How a reader takes in what it does not have."""
        records = self._memory.changes(self._reader.version)
        return lambda: self._reader.receive(records) and None


class RawLong:
    """The same in documents of pycrdt, whose updates are taken."""

    def __init__(self, size: int) -> None:
        docs: tuple[Doc[Any], Doc[Any]] = (Doc(), Doc())
        text, sequence = docs[0].get("draft", type=Text), docs[1].get("log", type=Array)
        self._updates: list[tuple[int, bytes]] = []
        self._held = [
            (doc, doc.observe(lambda event, which=which: self._updates.append((which, event.update))))
            for which, doc in enumerate(docs)
        ]
        self._readers: tuple[Doc[Any], Doc[Any]] = (Doc(), Doc())
        self.insert_text, self.insert_value = text.insert, sequence.insert
        self.append_text, self.append_value = partial(iadd, text), sequence.append
        self.size = size
        self.chance = random.Random(size)
        for start in range(0, size, 1000):
            some = min(1000, size - start)
            self.append_text("x" * some)
            sequence.extend(list(range(some)))

    def handed_over(self) -> Run:
        """How readers take in what they do not have."""
        updates, self._updates = self._updates, []

        def run() -> None:
            for which, update in updates:
                self._readers[which].apply_update(update)

        return run


def _text_appends(long: Long | RawLong) -> Run:
    def run() -> None:
        for _ in range(TIMES):
            long.append_text("x")

    return run


def _text_inserts(long: Long | RawLong) -> Run:
    places = [long.chance.randrange(long.size) for _ in range(TIMES)]

    def run() -> None:
        for place in places:
            long.insert_text(place, "x")

    return run


def _sequence_appends(long: Long | RawLong) -> Run:
    def run() -> None:
        for number in range(TIMES):
            long.append_value(number)

    return run


def _sequence_inserts(long: Long | RawLong) -> Run:
    places = [long.chance.randrange(long.size) for _ in range(TIMES)]

    def run() -> None:
        for place in places:
            long.insert_value(place, place)

    return run


def _received(inserts: Callable[[Long | RawLong], Run]) -> Callable[[Long | RawLong], Run]:
    """The same edits, at one who reads them."""

    def prepare(long: Long | RawLong) -> Run:
        long.handed_over()()  # all that was written before
        inserts(long)()
        return long.handed_over()

    return prepare


EDITS = (
    Operation("text append", "us an edit", TIMES, _text_appends),
    Operation("sequence append", "us an edit", TIMES, _sequence_appends),
    Operation("text insert anywhere", "us an edit", TIMES, _text_inserts),
    Operation("sequence insert anywhere", "us an edit", TIMES, _sequence_inserts),
    Operation("text insert anywhere, received", "us an edit", TIMES, _received(_text_inserts)),
    Operation("sequence insert anywhere, received", "us an edit", TIMES, _received(_sequence_inserts)),
)
