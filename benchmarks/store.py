"""What a write costs that lasts, in time and on the disk, beside a compare-and-swap loop; and what a long log costs.

All files are made anew for each round, in one folder. Times are of the wall clock, for there is a disk to wait for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter_ns
from typing import Any

from benchmarks import aged, floor
from benchmarks.effort import Effort
from benchmarks.harness import Figure, Run, Side, measure
from benchmarks.local import BATCH, KEYED, WHY, Writer
from benchmarks.race import Worker, race
from benchmarks.rows import Row, short
from benchmarks.targets import CAS, CONTENDING
from crdtmem import Memory, Namespace, Replica, SqliteStore

ALIKE = {
    "durability": "write-ahead log, synchronous=NORMAL (survives kill -9), or FULL where it says synced",
    "processes": "1, or 8 where it says so",
    "payload": "a str of 6 to 10 characters with author, time and reason; the loop keeps one such value, as JSON",
}
SPACE = Namespace(tenant="acme", task="benchmark")
AGENTS = 8
_NAMES = count(1)
_LOOP = "CAS loop"


def rows(effort: Effort) -> Iterator[Row]:
    """All rows, in the order of the table."""
    with TemporaryDirectory(prefix="benchmark-", dir=effort.folder) as folder:
        place = Place(Path(folder))
        yield from _writes(place, effort)
        yield from _synced(place, effort)
        yield from _contended(place, effort)
        yield from _bytes(place, effort)
        place.clear()
        yield from aged.rows(effort, Path(folder))


class Place:
    """A folder where each side has its file, which is gone when the next one is made."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: Callable[[], object] = lambda: None

    def fresh(self) -> Path:
        """The path of a file that is not there yet."""
        self.clear()
        return self._folder / f"{next(_NAMES)}.db"

    def clear(self) -> None:
        """Close and remove what is there."""
        self._open()
        self._open = lambda: None
        for file in self._folder.iterdir():
            file.unlink()

    def memory(self, durability: Any = "process") -> tuple[Memory, SqliteStore]:
        """A memory that is kept in a new file; its session has begun."""
        store = SqliteStore(self.fresh(), durability=durability)
        replica = Replica("ann", store=store)

        def close() -> None:
            with suppress(Exception):
                replica.close()
            store.close()

        self._open = close
        memory = replica.open(SPACE)
        memory.set("begun").add("first")
        return memory, store

    def loop(self, synchronous: str) -> Any:
        """A connection to a new file with one row."""
        db = floor.made(self.fresh(), synchronous)
        self._open = db.close
        return db


# -- one process -----------------------------------------------------------------------------------


def _writes(place: Place, effort: Effort) -> Iterator[Row]:
    """One change for each write, then a hundred writes in each; the files are checkpointed several times on the way."""
    values = _values(5 * effort.operations)
    loop = Side(_LOOP, len(values), lambda: _looping(place.loop("normal"), values))
    sides = [loop]
    for name, writer in KEYED.items():
        sides.append(
            Side(f"{name}, to disk", len(values), lambda writer=writer: writer(place.memory()[0], values, WHY))
        )
    for name, writer in KEYED.items():
        sides.append(
            Side(
                f"{name}, to disk, in a change of {BATCH}",
                len(values),
                lambda writer=writer: _batched(place, writer, values),
            )
        )
    found = measure(sides, effort.rounds, perf_counter_ns)
    base = found.pop(_LOOP)
    for name, figure in found.items():
        yield Row(name, CAS, figure.over(base), {"crdtmem": figure, _LOOP: base}, _rate(figure))


def _batched(place: Place, writer: Writer, values: Sequence[str]) -> Run:
    memory, _ = place.memory()
    writes = [writer(memory, values[start : start + BATCH], None) for start in range(0, len(values), BATCH)]

    def run() -> None:
        for write in writes:
            with memory.change(why=WHY):
                write()

    return run


def _looping(db: Any, values: Sequence[str]) -> Run:
    execute = db.cursor().execute

    def run() -> None:
        for value in values:
            floor.swap(db, execute, value)

    return run


def _synced(place: Place, effort: Effort) -> Iterator[Row]:
    """The same with a sync for each write: to a write-ahead log that grows, and to one that is written over."""
    values = _values(max(effort.operations // 4, 10))
    warm = _values(3200)  # so that the log has begun anew, and no checkpoint of the file falls into what is timed

    def ours(*, grown: bool) -> Run:
        memory, store = place.memory("process" if grown else "power")
        if grown:
            KEYED["set.add"](memory, [f"before {value}" for value in warm], WHY)()
            store.db.pragma("synchronous", "full")
        return KEYED["set.add"](memory, values, WHY)

    def theirs(*, grown: bool) -> Run:
        db = place.loop("normal" if grown else "full")
        if grown:
            _looping(db, warm)()
            db.pragma("synchronous", "full")
        return _looping(db, values)

    for what, grown in (("set.add, to disk, synced", True), ("set.add, to disk, synced, a log that grows", False)):
        sides = [
            Side("crdtmem", len(values), lambda grown=grown: ours(grown=grown)),
            Side(_LOOP, len(values), lambda grown=grown: theirs(grown=grown)),
        ]
        found = measure(sides, min(effort.rounds, 5), perf_counter_ns)
        yield Row(what, CAS, found["crdtmem"].over(found[_LOOP]), found, _rate(found["crdtmem"]))


# -- several processes -----------------------------------------------------------------------------


def agent(path: str) -> Worker:
    """One of several agents, each with a file of its own."""
    questions = Replica(path, store=path).open(SPACE).set("questions")
    return lambda number: questions.add(f"value {number}", why=WHY)


def _contended(place: Place, effort: Effort) -> Iterator[Row]:
    values = _values(5 * effort.operations)
    seconds = effort.operations / 2000

    def contending(worker: Callable[..., Worker]) -> Run:
        path = place.fresh()
        floor.made(path, "normal").close()
        return race(worker, [(str(path), "normal")] * AGENTS, seconds)

    def crew() -> Run:
        path = place.fresh()
        return race(agent, [(f"{path}-{number}",) for number in range(AGENTS)], seconds)

    one, eight, swapping, queueing = "1 agent", f"{AGENTS} agents", f"{AGENTS} CAS loops", f"{AGENTS} that lock the row"
    sides = [
        Side(one, len(values), lambda: KEYED["set.add"](place.memory()[0], values, WHY)),
        Side(eight, 1, crew),
        Side(swapping, 1, lambda: contending(floor.swapping)),
        Side(queueing, 1, lambda: contending(floor.queueing)),
    ]
    found = measure(sides, (effort.rounds + 2) // 3, perf_counter_ns, warming=0)
    for name in (one, eight):
        for rivals, unit in ((swapping, CONTENDING), (queueing, f"x {queueing}")):
            figures = {name: found[name], rivals: found[rivals]}
            note = f"{_rate(found[name])}, against {_rate(found[rivals])} of all together"
            yield Row(f"{name}, beside {rivals}", unit, found[name].over(found[rivals]), figures, note)


# -- space -----------------------------------------------------------------------------------------


def _bytes(place: Place, effort: Effort) -> Iterator[Row]:
    """All files after the memory was audited and closed."""
    values = _values(2 * effort.operations)
    for name, writers in {
        **{name: [writer] for name, writer in KEYED.items()},
        "one of each": list(KEYED.values()),
    }.items():
        memory, store = place.memory()
        for writer in writers:
            writer(memory, values, WHY)()
        memory.audit(limit=1)
        place._open()
        held = memory._document.state.count
        size = sum(file.stat().st_size for file in Path(store.path).parent.iterdir())
        shelf = _shelf(Path(store.path))
        note = f"{short(size / held)} with the {short(shelf / held)} of three checkpoints; {held:,} changes"
        yield Row(f"bytes on disk, {name}", "bytes a change", Figure(((size - shelf) / held,)), note=note)


def _shelf(path: Path) -> int:
    """What the checkpoints take."""
    with SqliteStore(path, readonly=True) as store:
        log = store.open(SPACE)
        return sum(len(log.get(name) or b"") for name in log.names() if name.startswith("checkpoint/"))


def _values(times: int) -> list[str]:
    return [f"value {number}" for number in range(times)]


def _rate(figure: Figure) -> str:
    return f"{short(round(1e6 / figure.median))} a second"
