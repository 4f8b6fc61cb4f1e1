"""`crdtmem bench`: what a memory costs on this machine and this disk, beside compare and swap on SQLite.

The lines take turns, so that whatever else the machine does meets them alike; a figure is the median of their turns.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from crdtmem import Memory, MisuseError, Replica, __version__
from crdtmem.cli import out
from crdtmem.cli.frame import Json

if TYPE_CHECKING:
    from crdtmem.sqlite.file import Durability

_TURNS = 5
_KEYS = 1000
_BATCH = 100
_WHY = "spike in March"
Work = Callable[[], int]  # does a little, and says how many operations that was


class Line(NamedTuple):
    """What is measured, and the line it is compared with."""

    name: str
    work: Work
    beside: str = ""


def bench(
    folder: Annotated[
        Path, typer.Option("--folder", metavar="DIR", help="where its files are: on the disk to be measured")
    ] = Path("."),
    seconds: Annotated[float, typer.Option("--seconds", metavar="N", help="how long each line is measured")] = 0.5,
    *,
    as_json: Json = False,
) -> None:
    """Measure what a memory costs on this machine and this disk, beside compare and swap on SQLite.

    Example: `crdtmem bench --folder /var/lib/agents`
    """
    if not 0.01 <= seconds <= 60:
        raise MisuseError(f"--seconds {seconds:g}: from 0.01 to 60")
    if not folder.is_dir():
        raise MisuseError(f"--folder {folder}: no such folder")
    with TemporaryDirectory(prefix="crdtmem-bench-", dir=folder) as made, _lines(Path(made)) as lines:
        found = _measured(lines, seconds)
    if as_json:
        told = {name: {"us": median(each), "low": min(each), "high": max(each)} for name, each in found.items()}
        out.emit({"version": __version__, "folder": str(folder.resolve()), "seconds": seconds, "lines": told})
        return
    shown = [(line.name, *_cells(median(found[line.name]), found.get(line.beside))) for line in lines]
    out.table(shown, head=("", "us", "a second", "of compare and swap"), fold=0)


def _cells(each: float, beside: list[float] | None) -> tuple[str, str, str]:
    share = "" if beside is None else f"{each / median(beside):.2f} x"
    return f"{each:,.1f}", f"{1e6 / each:,.0f}", share


def _measured(lines: list[Line], seconds: float) -> dict[str, list[float]]:
    """Microseconds for one operation of each line, turn by turn."""
    for line in lines:
        line.work()  # a session begins, tables are made
    found: dict[str, list[float]] = {line.name: [] for line in lines}
    for _ in range(_TURNS):
        for line in lines:
            done = 0
            started = time.perf_counter()
            while time.perf_counter() - started < seconds / _TURNS:
                done += line.work()
            found[line.name].append((time.perf_counter() - started) / done * 1e6)
    return found


@contextmanager
def _lines(folder: Path) -> Iterator[list[Line]]:
    with ExitStack() as opened:

        def memory(durability: Durability) -> Memory:
            from crdtmem import SqliteStore

            store = opened.enter_context(SqliteStore(folder / f"{durability}.db", durability=durability))
            return opened.enter_context(Replica("bench", store=store)).open(tenant="bench")

        def loop(synchronous: str) -> Work:
            db = opened.enter_context(closing(sqlite3.connect(folder / f"{synchronous}-cas.db", isolation_level=None)))
            return _swapping(db, synchronous)

        alone, kept, synced = Replica("bench").open(tenant="bench"), memory("process"), memory("power")
        swap, swap_synced = "compare and swap", "compare and swap, synced"
        yield [
            Line("write, in memory", _putting(alone)),
            Line("write, to a file", _putting(kept), swap),
            Line(f"write, to a file, {_BATCH} in a change", _changing(kept), swap),
            Line("write, to a file, synced", _putting(synced), swap_synced),
            Line("read by key", _reading(alone)),
            Line("change received", _receiving(alone)),
            Line(swap, loop("normal")),
            Line(swap_synced, loop("full")),
        ]


def _putting(memory: Memory) -> Work:
    facts, numbers = memory.records("facts"), count()

    def work() -> int:
        for _ in range(10):
            number = next(numbers)
            facts.put(f"key {number % _KEYS}", f"value {number}", why=_WHY)
        return 10

    return work


def _changing(memory: Memory) -> Work:
    facts, numbers = memory.records("more facts"), count()

    def work() -> int:
        with memory.change(why=_WHY):
            for _ in range(_BATCH):
                number = next(numbers)
                facts.put(f"key {number % _KEYS}", f"value {number}")
        return _BATCH

    return work


def _reading(memory: Memory) -> Work:
    facts = memory.records("facts")

    def work() -> int:
        for number in range(_BATCH):
            facts.get(f"key {number}")
        return _BATCH

    return work


def _receiving(memory: Memory) -> Work:
    source = Replica("source").open(memory.namespace)
    for number in range(5 * _BATCH):
        source.set("facts").add(f"value {number}", why=_WHY)
    changes = source.changes()

    def work() -> int:
        return Replica("other").open(memory.namespace).receive(changes).applied

    return work


def _swapping(db: sqlite3.Connection, synchronous: str) -> Work:
    """As a good user writes it: read, change, and write where the version is still the same."""
    db.execute("PRAGMA journal_mode = wal")
    db.execute(f"PRAGMA synchronous = {synchronous}")
    db.execute("CREATE TABLE memory (key TEXT PRIMARY KEY, value TEXT, version INTEGER) WITHOUT ROWID")
    db.execute("INSERT INTO memory VALUES ('task', '{}', 0)")
    numbers = count()

    def work() -> int:
        for _ in range(10):
            swapped = 0
            while not swapped:
                value, version = db.execute("SELECT value, version FROM memory WHERE key = 'task'").fetchone()
                state = json.loads(value)
                state.update(value=f"value {next(numbers)}", by="bench", why=_WHY, at=time.time())
                swap = "UPDATE memory SET value = ?, version = version + 1 WHERE key = 'task' AND version = ?"
                swapped = db.execute(swap, (json.dumps(state), version)).rowcount
        return 10

    return work
