"""Reading at prompt time: search, the upkeep of its index, views, and the check of a report."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from benchmarks.effort import Effort
from benchmarks.harness import Figure, Run, Side, measure
from benchmarks.rows import Row
from crdtmem import Memory, Replica, View, check
from crdtmem.search import reading

ALIKE = {
    "memory": "facts, records and a log, 4 to 22 words each and why=, from 20,000 words as frequent as in texts",
    "query": "three words of an entry, stop words aside",
}
BATCH = 1000
_STOPS = ("the", "of", "and", "to", "in", "was", "is", "for")


def rows(effort: Effort) -> Iterator[Row]:
    """One row for each target, and what says more about it."""
    reduced = effort.grown < 100_000
    size = f"{effort.grown:,} entries"
    words = Words(1)
    memory = filled(effort.grown, words)
    made = measure([Side("from nothing", effort.grown, lambda: _anew(memory))], min(effort.rounds, 3))
    queries = [words.query() for _ in range(20)]
    sides = [
        Side("query", len(queries), lambda: _asking(memory, queries)),
        Side("filtered", len(queries), lambda: _asking(memory, queries, by="bob")),
        Side("frequent", 4, lambda: _asking(memory, [words.frequent] * 4)),
        Side("upkeep", BATCH, lambda: _upkeep(memory, words)),
        Side("cold", 1, lambda: _view(memory, words, anew=True)),
        Side("warm", 1, lambda: _view(memory, words, anew=False)),
    ]
    found = measure(sides, effort.rounds)
    yield Row("full-text query", "ms", found["query"].scaled(0.001), note=size, reduced=reduced)
    yield Row("full-text query, of one author", "ms", found["filtered"].scaled(0.001), note=size)
    yield Row("full-text query, a word of half the entries", "ms", found["frequent"].scaled(0.001), note=size)
    yield Row("index upkeep", "us a write", found["upkeep"], note=f"{size}, batches of {BATCH:,}", reduced=reduced)
    yield Row("index, made from nothing", "us an entry", made["from nothing"], note=size)
    yield Row("view of 4,000 tokens, cold", "ms", found["cold"].scaled(0.001), note=size, reduced=reduced)
    yield Row("view of 4,000 tokens, nothing changed", "ms", found["warm"].scaled(0.001), note=size, reduced=reduced)
    yield from _checks(effort)


def _checks(effort: Effort) -> Iterator[Row]:
    size = effort.grown // 10
    words = Words(2)
    memory = filled(size, words)
    report = words.report(2000)
    sides = [
        Side("first", 1, lambda: _checking(memory, report, anew=True)),
        Side("again", 1, lambda: _checking(memory, report, anew=False)),
    ]
    found: dict[str, Figure] = measure(sides, effort.rounds)
    note = f"{size:,} entries"
    yield Row("check of 2,000 words", "ms", found["first"].scaled(0.001), note=note, reduced=size < 10_000)
    yield Row("check of 2,000 words, same version", "ms", found["again"].scaled(0.001), note=note)


class Words:
    """Words as frequent as in texts, always the same ones."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        made = random.Random(0)
        syllables = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "er", "on")]
        self._all = ["".join(made.choices(syllables, k=made.randrange(2, 5))) for _ in range(20_000)]
        self._weights = [1 / (nth + 10) for nth in range(len(self._all))]
        self._pool: list[str] = []
        self.frequent = "quarterly"

    def some(self, size: int) -> list[str]:
        """So many words, as they come."""
        if len(self._pool) < size:
            self._pool = self._random.choices(self._all, self._weights, k=100_000)
        taken, self._pool = self._pool[:size], self._pool[size:]
        return [self._random.choice(_STOPS) if self._random.random() < 0.2 else word for word in taken]

    def sentence(self) -> str:
        """An entry's worth; every other one has the frequent word."""
        found = self.some(self._random.randrange(4, 22))
        if self._random.random() < 0.5:
            found.append(self.frequent)
        if self._random.random() < 0.3:
            found.append(f"{self._random.randrange(10_000) / 100} %")
        return " ".join(found)

    def query(self) -> str:
        """Three words that are no stop words."""
        return " ".join([word for word in self.some(20) if word not in _STOPS][:3])

    def report(self, size: int) -> str:
        """So many words in sentences, with figures, dates and names."""
        parts: list[str] = []
        while len(parts) < size:
            parts += [
                *self.some(12),
                f"{self._random.randrange(10_000) / 100}",
                "%",
                "in",
                "Lyon",
                "on",
                "5",
                "March",
                "2026.",
            ]
        return " ".join(parts[:size])


def filled(size: int, words: Words) -> Memory:
    """A memory of so many entries by two agents, some ten in a change."""
    ann = Replica("ann").open(tenant="benchmarks")
    agents = (ann, ann, ann, ann.acting_as("bob"))
    for start in range(0, size, 10):
        memory = agents[start // 10 % 4]
        with memory.change(why="weekly review of the team"):
            for nth in range(start, start + 5):
                memory.set("facts").add(f"{words.sentence()} {nth}")
            memory.records("orders").put(str(start), {"said": words.sentence(), "sum": start})
            memory.sequence("log").extend([words.sentence() for _ in range(4)])
    return ann


def _anew(memory: Memory) -> Run:
    memory._document.kept.index = None

    def run() -> None:
        with reading(memory):
            pass

    return run


def _asking(memory: Memory, queries: list[str], **filters: str) -> Run:
    memory.search("to be up to date")
    ask: Callable[..., object] = memory.search

    def run() -> None:
        for query in queries:
            ask(query, **filters)

    return run


def _upkeep(memory: Memory, words: Words) -> Run:
    memory.search("to be up to date")
    for nth in range(BATCH // 2):
        memory.register("status").assign(words.sentence(), why="weekly review of the team")
        memory.set("facts").add(f"{words.sentence()} more {nth}", why="weekly review of the team")

    def run() -> None:
        with reading(memory):
            pass

    return run


def _view(memory: Memory, words: Words, *, anew: bool) -> Run:
    about = f"why did {words.query()} change?"
    if not anew:
        str(View(memory, about=about))
    else:
        memory.search("to be up to date")
        memory.set("facts").add(words.sentence())

    def run() -> None:
        str(View(memory, about=about))

    return run


def _checking(memory: Memory, report: str, *, anew: bool) -> Run:
    if anew:
        memory.set("facts").add(f"{memory.version}")
    version = memory.version
    entries = memory.set("facts").entries()[:50]
    memory.set("later").add("something since")
    text = report + " ".join(f"[{entry.id}]" for entry in entries)
    if not anew:
        check(text, memory.at(version))

    def run() -> None:
        check(text, memory.at(version))

    return run
