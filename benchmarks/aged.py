"""What a long log costs: opening it, auditing it, reading its past, and checkpointing it while somebody writes."""

from __future__ import annotations

import random
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter_ns

from benchmarks.effort import FULL, Effort
from benchmarks.fresh import measured
from benchmarks.harness import Figure, Run, Side, measure
from benchmarks.rows import Row
from crdtmem import Memory, Namespace, Replica, SqliteStore

SPACE = Namespace(tenant="acme", task="benchmark")
WHY = "spike in March"
KEYS, BACK = 10_000, 1_000
MORE = 2_000  # changes before the audit is asked again
ASKED = 50

Write = Callable[[Memory, int], object]
LIVE: Write = lambda memory, n: memory.set("live").add(f"value {n}", why=WHY)  # noqa: E731
TURNED_OVER: Write = lambda memory, n: memory.records("live").put(f"key {n % 1000}", f"value {n}", why=WHY)  # noqa: E731


def rows(effort: Effort, folder: Path) -> Iterator[Row]:
    """All rows, in the order of the table."""
    yield from _openings(effort, folder)
    yield from _audited(effort, folder)
    yield from _past(effort, folder)
    yield from _checkpointed(effort, folder)


# -- opening ---------------------------------------------------------------------------------------


def _openings(effort: Effort, folder: Path) -> Iterator[Row]:
    times = effort.opened
    for name, write in (("all live", LIVE), ("1,000 live", TURNED_OVER)):
        path = folder / f"opened {name}.db"
        with Replica("ann", store=path) as replica:
            memory = replica.open(SPACE)
            for number in range(times):
                write(memory, number)
            memory.checkpoint()
        note = f"{times:,} changes, {name}; a process of its own each time, the file in the page cache"
        for how in ("from a checkpoint", "from the log alone"):
            if how != "from a checkpoint":
                _forget_checkpoints(path)
            taken = [measured("open", path) for _ in range(min(effort.rounds, 5) + 1)][1:]
            sides = {step: Figure(tuple(one[step] / 1000 for one in taken)) for step in taken[0]}
            figure = sides["open"].scaled(0.001)
            yield Row(f"opening {how}, {name}", "ms", figure, sides, note, times < FULL.opened)


def _forget_checkpoints(path: Path) -> None:
    with SqliteStore(path) as store:
        log = store.open(SPACE)
        for name in log.names():
            if name.startswith("checkpoint/"):
                log.drop(name)


# -- the audit -------------------------------------------------------------------------------------


def _audited(effort: Effort, folder: Path) -> Iterator[Row]:
    times = effort.audited
    with Replica("ann", store=folder / "audited.db") as replica:
        memory = replica.open(SPACE)
        written = [str(memory.records("live").put(f"key {n % 1000}", f"value {n}", why=WHY).id) for n in range(times)]
        started = perf_counter_ns()
        memory.audit(limit=1)
        whole = Figure(((perf_counter_ns() - started) / 1000 / times,))
        note, small = f"{times:,} changes by one author, each in place of another one", times < FULL.audited
        yield Row("audit, all of it from nothing", "us a change", whole, note=note, reduced=small)
        more = iter(range(times, 10**9))

        def behind() -> Run:
            for _ in range(MORE):
                TURNED_OVER(memory, next(more))
            return lambda: _ask(memory)

        found = measure([Side("up to date", MORE, behind)], effort.rounds, perf_counter_ns)
        yield Row(
            "audit, bringing it up to date",
            "us a change",
            found["up to date"],
            note=f"{MORE:,} at a time",
            reduced=small,
        )
        longest: list[int] = []

        def asking() -> Run:
            chosen = random.Random(len(longest)).sample(written, ASKED)
            return lambda: longest.append(max(_asked(memory, chosen)))

        figure = measure([Side("one entry", ASKED, asking)], effort.rounds, perf_counter_ns)["one entry"]
        note = f"among {_rows(memory):,} rows; the slowest of {ASKED * len(longest):,} took {max(longest) / 1e6:.3g} ms"
        yield Row("audit, one entry", "ms", figure.scaled(0.001), note=note, reduced=small)


def _ask(memory: Memory) -> None:
    memory.audit(limit=1)


def _asked(memory: Memory, entries: Sequence[str]) -> Iterator[int]:
    for entry in entries:
        started = perf_counter_ns()
        assert memory.audit(entry=entry)
        yield perf_counter_ns() - started


def _rows(memory: Memory) -> int:
    db = memory._document.log.index()
    tables = [
        name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'audit%'")
    ]
    return sum(int(db.execute(f"SELECT count(*) FROM {table}").get) for table in tables)


# -- the past --------------------------------------------------------------------------------------


def _past(effort: Effort, folder: Path) -> Iterator[Row]:
    path = folder / "past.db"
    chosen = random.Random(0)
    note = f"{KEYS:,} keys, {BACK:,} changes back"
    with Replica("ann", store=path) as replica:
        memory = replica.open(SPACE)
        facts = memory.records("facts")
        for start in range(0, KEYS, 1000):
            with memory.change():
                for number in range(start, start + 1000):
                    facts.put(f"key {number}", f"value {number}")
        version = str(memory.version)
        for number in range(BACK):
            facts.put(f"key {chosen.randrange(KEYS)}", f"later value {number}")
        memory.audit(limit=1)

        def one() -> None:
            assert memory.at(version).records("facts")["key 5"] == "value 5"

        def every() -> None:
            assert len(dict(memory.at(version).records("facts"))) == KEYS

        found = measure([Side("one", 1, lambda: one), Side("all", 1, lambda: every)], effort.rounds, perf_counter_ns)
        yield Row("reading the past, one key", "ms", found["one"].scaled(0.001), note=note)
        yield Row("reading the past, all keys", "ms", found["all"].scaled(0.001), note=note)
    rounds = min(effort.rounds, 5)
    for step in ("one key", "all keys"):
        taken = [measured(step.replace(" ", "-"), path, version)["read"] / 1e6 for _ in range(rounds)]
        what = f"{note}, in a process that has just opened it"
        yield Row(f"reading the past, {step}, first time", "ms", Figure(tuple(taken)), note=what)
    anew = []
    for number in range(rounds):
        copy = folder / f"past {number}.db"
        shutil.copyfile(path, copy)
        anew.append(measured("one-key", copy, version)["read"] / 1e6)
    what = f"{note}, its tables are made first"
    yield Row("reading the past, one key, never audited", "ms", Figure(tuple(anew)), note=what)


# -- checkpoints -----------------------------------------------------------------------------------


def _checkpointed(effort: Effort, folder: Path) -> Iterator[Row]:
    with Replica("ann", store=folder / "checkpointed.db") as replica:
        memory = replica.open(SPACE)
        for start in range(0, effort.grown, 1000):
            with memory.change(why=WHY):
                for number in range(start, start + 1000):
                    memory.set("live").add(f"value {number}")
        memory.checkpoint()
        fresh = iter(range(effort.grown, 10**9))
        with_one, without, writes = [], [], 0
        for _ in range(min(effort.rounds, 5)):
            started = perf_counter_ns()
            taken = _longest(memory, fresh, during=_checkpoint)
            lasted = perf_counter_ns() - started
            with_one.append(max(taken) / 1e6)
            writes += len(taken)
            without.append(max(_longest(memory, fresh, during=partial(_time, lasted))) / 1e6)
        note = (
            f"at {effort.grown:,} live entries, the longest of {writes:,} writes and {len(with_one)} checkpoints; "
            f"as long without one: {max(without):.3g} ms"
        )
        figure = Figure((max(with_one),))
        small = effort.grown < FULL.grown
        yield Row("waiting for a checkpoint, the longest write", "ms", figure, note=note, reduced=small)


def _checkpoint(memory: Memory) -> threading.Thread:
    checkpoints = memory._document.checkpoints
    checkpoints.soon()
    assert checkpoints._maker is not None
    return checkpoints._maker


def _time(nanoseconds: int, memory: Memory) -> threading.Timer:
    timer = threading.Timer(nanoseconds / 1e9, lambda: None)
    timer.start()
    return timer


def _longest(memory: Memory, numbers: Iterator[int], *, during: Callable[[Memory], threading.Thread]) -> list[int]:
    """How long each write took while something else went on."""
    taken = []
    other = during(memory)
    while other.is_alive():
        started = perf_counter_ns()
        LIVE(memory, next(numbers))
        taken.append(perf_counter_ns() - started)
    return taken
