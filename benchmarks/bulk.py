"""Memories of so many entries, and what is done to them over and over."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import accumulate, count
from time import thread_time_ns
from typing import Generic, NamedTuple, TypeVar

from benchmarks.harness import Run
from crdtmem import MemoryStore, Namespace, Replica, View

SPACE = Namespace(tenant="acme", task="benchmark")
WHY = "weekly review of the team"
TIMES = 100
Made = TypeVar("Made")
_SYLLABLES = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "er", "on")]


class Words:
    """Sentences of words as frequent as in texts, always the same ones."""

    def __init__(self) -> None:
        made = random.Random(0)
        self._chance = random.Random(1)
        self._all = ["".join(made.choices(_SYLLABLES, k=made.randrange(2, 5))) for _ in range(20_000)]
        self._weights = list(accumulate(1 / (nth + 10) for nth in range(len(self._all))))

    def some(self, size: int) -> str:
        """So many words."""
        return " ".join(self._chance.choices(self._all, cum_weights=self._weights, k=size))


class Bulk:
    """A memory with so many entries, half of them under keys and half in a set, ten in a change."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.words = Words()
        self.store = MemoryStore()
        self.chance = random.Random(size)
        self.fresh = count(size)
        self.memory = Replica("ann", store=self.store).open(SPACE)
        self.other = Replica("bob").open(SPACE)
        facts, said = self.memory.records("facts"), self.memory.set("said")
        for start in range(0, size, 10):
            with self.memory.change(why=WHY):
                for number in range(start, start + 5):
                    facts.put(f"key {number}", self.words.some(8))
                    said.add(f"{self.words.some(8)} {number}")
        self.memory.checkpoint()

    def key(self) -> str:
        """A key that is there."""
        return f"key {self.chance.randrange(self.size // 10) * 10 + self.chance.randrange(5)}"


class Operation(NamedTuple, Generic[Made]):
    """What is timed.

    Args:
        name: in the row.
        unit: of its cost.
        times: how often one run does it.
        prepare: makes a run of it, untimed; one that times only a part of itself returns those nanoseconds.
    """

    name: str
    unit: str
    times: int
    prepare: Callable[[Made], Run]


def _writes(bulk: Bulk) -> Run:
    facts, said = bulk.memory.records("facts"), bulk.memory.set("said")
    lines = [(f"fresh {next(bulk.fresh)}", bulk.words.some(8)) for _ in range(TIMES // 2)]

    def run() -> None:
        for key, line in lines:
            facts.put(key, line, why=WHY)
            said.add(line, why=WHY)

    return run


def _receives(bulk: Bulk) -> Run:
    before = bulk.other.version
    facts = bulk.other.records("facts")
    for _ in range(TIMES):
        facts.put(f"fresh {next(bulk.fresh)}", bulk.words.some(8), why=WHY)
    records = bulk.other.changes(before)

    def run() -> None:
        assert bulk.memory.receive(records).applied == TIMES

    return run


def _reads(bulk: Bulk) -> Run:
    facts, keys = bulk.memory.records("facts"), [bulk.key() for _ in range(10 * TIMES)]

    def run() -> None:
        for key in keys:
            facts[key]

    return run


def _digests(bulk: Bulk) -> Run:
    said = bulk.memory.set("said")

    def run() -> int:
        taken = 0
        for _ in range(TIMES):
            said.add(f"fresh {next(bulk.fresh)}")
            began = thread_time_ns()
            bulk.memory.digest()
            taken += thread_time_ns() - began
        return taken

    return run


def _audits(bulk: Bulk) -> Run:
    bulk.memory.audit(last=1)  # up to date

    def run() -> None:
        for _ in range(TIMES // 10):
            bulk.memory.audit(last=50)

    return run


def _tells(bulk: Bulk) -> Run:
    bulk.memory.audit(last=1)
    facts = bulk.memory.records("facts")
    entries = [facts.siblings(bulk.key())[0] for _ in range(TIMES)]

    def run() -> None:
        for entry in entries:
            bulk.memory.audit(entry=entry)

    return run


def _searches(bulk: Bulk) -> Run:
    bulk.memory.search("up to date")
    queries = [bulk.words.some(3) for _ in range(TIMES // 10)]

    def run() -> None:
        for query in queries:
            bulk.memory.search(query)

    return run


def _views(bulk: Bulk) -> Run:
    bulk.memory.search("up to date")
    bulk.memory.set("said").add(f"fresh {next(bulk.fresh)}")
    about = f"why did {bulk.words.some(3)} change?"

    def run() -> None:
        str(View(bulk.memory, about=about))

    return run


def _opens(bulk: Bulk) -> Run:
    def run() -> None:
        opened = Replica("reader", store=bulk.store).open(SPACE)
        assert len(opened.records("facts")) >= bulk.size // 2

    return run


# Opening comes first: what the others write is not in the checkpoint.
OPENS = Operation("opening from a checkpoint", "us", 1, _opens)
OPERATIONS = (
    OPENS,
    Operation("write", "us a write", TIMES, _writes),
    Operation("receive", "us a change", TIMES, _receives),
    Operation("read by key", "us a read", 10 * TIMES, _reads),
    Operation("digest after a write", "us", TIMES, _digests),
    Operation("page of the audit", "us a page", TIMES // 10, _audits),
    Operation("history of one entry", "us an entry", TIMES, _tells),
    Operation("search", "us a query", TIMES // 10, _searches),
    Operation("view of 4,000 tokens", "us", 1, _views),
)
