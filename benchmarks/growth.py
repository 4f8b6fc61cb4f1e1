"""What a memory comes to as it lives long: its state after many writes, its version after many process starts.

The state is a checkpoint: the sessions needed and the live entries with their attribution. The log is another matter,
and reported beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from benchmarks.effort import FULL, Effort
from benchmarks.harness import Figure, Run, Side, measure
from benchmarks.live import dump
from benchmarks.rows import Row
from benchmarks.starts import copy, reports, started
from crdtmem import Memory, MemoryStore, Namespace, Replica

ALIKE = {"durability": "none, all in memory", "processes": "1", "payload": "a str of 7 to 10 characters"}
SPACE = Namespace(tenant="acme", task="benchmark")
LIVE = 100
WHY = "spike in March"
ROUNDS = 3  # opening a long log takes seconds, and its spread is small


def rows(effort: Effort) -> Iterator[Row]:
    """All rows, in the order of the table."""
    yield from _increments(effort.churn)
    yield from _churn(effort.churn)
    yield from _starts(effort.starts)


def _increments(times: int) -> Iterator[Row]:
    memory = _opened("ann", MemoryStore())
    tokens = memory.counter("tokens")
    for _ in range(times):
        tokens.add(3)
    yield _size("state after increments", "bytes", memory, float, f"{times:,} by one agent")
    yield _exact("log after increments", "bytes", sum(map(len, memory.changes())), f"{times:,} by one agent")


def _churn(times: int) -> Iterator[Row]:
    """Adds, each followed by the removal of the one a hundred before it."""
    memory = _opened("ann", MemoryStore())
    questions = memory.set("questions")
    for i in range(times):
        questions.add(f"value {i}", why=WHY)
        if i >= LIVE:
            questions.discard(f"value {i - LIVE}")
    said = sum(len(entry.value.encode()) + len(WHY.encode()) for entry in questions.entries())
    note = f"{times:,} adds, {LIVE} live; the live entries are their values and reasons"
    yield _size(
        "state after churn, beyond the live entries", "bytes an entry", memory, lambda size: (size - said) / LIVE, note
    )
    yield _exact("log after churn", "bytes", sum(map(len, memory.changes())), note)


def _starts(times: int) -> Iterator[Row]:
    store = started(SPACE, times, reports)
    ours, theirs = _opened("ann", store), _opened("bob", copy(store, SPACE))
    note = f"{times:,} sessions in one chain, each written once; one entry live"
    reduced = times < FULL.starts
    yield _exact("version token after process starts", "bytes", len(str(ours.version)), note, reduced=reduced)
    yield _size("state after process starts", "bytes", ours, float, note)

    def opening() -> Run:
        def run() -> None:
            _opened("ann", store)

        return run

    def exchanging() -> Run:
        """Each tells the other its version, and learns that nothing is lacking."""

        def run() -> None:
            for asked, asking in ((ours, theirs), (theirs, ours)):
                token = str(asking.version)
                assert asked.reached(token)
                assert asked.changes(token) == []

        return run

    def handing_over() -> Run:
        theirs.register("started").assign("now")

        def run() -> None:
            assert ours.receive(theirs.changes(str(ours.version))).applied == 1

        return run

    sides = [
        Side("opening", 1, opening),
        Side("exchanging versions", 1, exchanging),
        Side("handing over", 1, handing_over),
    ]
    found = measure(sides, ROUNDS)
    over = found.pop("handing over").scaled(0.001)
    opened = found["opening"].scaled(0.001)
    yield Row(
        "opening the log",
        "ms",
        opened,
        found,
        f"{ROUNDS} rounds; replays it all; no target until there are checkpoints",
        reduced,
    )
    exchanged = found["exchanging versions"].scaled(0.001)
    yield Row(
        "opening and exchanging versions", "ms", exchanged, found, "between two replicas that hold the log", reduced
    )
    note = "of one change, from version to receipt, at as many sessions"
    yield Row("handing over after process starts", "ms", over, note=note, reduced=reduced)


def _size(name: str, unit: str, memory: Memory, of: Callable[[int], float], note: str) -> Row:
    return _exact(name, unit, of(len(dump(memory._document.state))), note)


def _exact(name: str, unit: str, amount: float, note: str, *, reduced: bool = False) -> Row:
    return Row(name, unit, Figure((float(amount),)), note=note, reduced=reduced)


def _opened(agent: str, store: MemoryStore) -> Memory:
    return Replica(agent, store=store).open(SPACE)
