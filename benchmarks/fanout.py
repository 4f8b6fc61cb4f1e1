"""What a relay costs: processor time for each change handed on, beside other servers; and many that are connected."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep
from typing import NamedTuple

from benchmarks import many, rivals
from benchmarks.apart import Silent, spent
from benchmarks.effort import Effort
from benchmarks.harness import Figure, Run, Side, measure
from benchmarks.rows import Row, short
from benchmarks.stage import OURS, gathered, served
from benchmarks.targets import PYCRDT, Y

ALIKE = {
    "payload": "a text of 60 bytes appended to a sequence, a change or an update of its own each time",
    "durability": "ours verifies each seal and commits to a file before it hands on; the others keep all in memory",
    "processes": "the server, its readers and the writer have one each; only the server's processor time counts",
}
BESIDE = {"y-websocket": Y, "pycrdt-websocket": PYCRDT}
PACE = 200.0  # writes a second
READERS = (1, 10, 100)
_SETTLE = 0.3  # seconds after the last has joined


class Load(NamedTuple):
    """Who reads, and what is written how fast."""

    readers: int
    writes: int
    pace: float | None


def rows(effort: Effort) -> Iterator[Row]:
    """All rows, in the order of the table."""
    with TemporaryDirectory(prefix="benchmark-", dir=effort.folder) as folder:
        absent = {name: why for name in BESIDE if (why := rivals.why_absent(name))}
        yield from _fanout(Path(folder), effort, absent)
        yield from many.rows(effort, Path(folder))


def _fanout(folder: Path, effort: Effort, absent: dict[str, str]) -> Iterator[Row]:
    paced = [Load(count, effort.paced, PACE) for count in READERS]
    for load in [*paced, Load(READERS[-1], effort.burst, None)]:
        with ExitStack() as running:
            stage = _Stage(folder, running)
            names = [OURS, *(name for name in BESIDE if name not in absent)]
            sides = [Side(name, load.writes * load.readers, stage.side(name, load)) for name in names]
            found = measure(sides, (effort.rounds + 2) // 3, warming=0)
        for name, unit in BESIDE.items():
            what = f"{'paced' if load.pace else 'a burst'}, {load.readers} reader{'s' * (load.readers > 1)}"
            yield _beside(f"relay, {what}, beside {name}", unit, name, found, absent, stage.note(load))


def _beside(row: str, unit: str, name: str, found: dict[str, Figure], absent: dict[str, str], note: str) -> Row:
    if name in absent:
        return Row(row, unit, None, {OURS: found[OURS]}, absent[name])
    return Row(row, unit, found[OURS].over(found[name]), {OURS: found[OURS], name: found[name]}, note)


class _Stage:
    """Where one server at a time is measured."""

    def __init__(self, folder: Path, running: ExitStack) -> None:
        self._folder = folder
        self._running = running
        self._number = 0
        self._messages: dict[tuple[str, Load], list[float]] = {}

    def side(self, name: str, load: Load) -> Callable[[], Run]:
        """How to prepare a run of this server under this load."""
        return lambda: self._prepared(name, load)

    def note(self, load: Load) -> str:
        """How many changes came in one message."""
        each = [(name, sorted(found)[len(found) // 2]) for (name, of), found in self._messages.items() if of == load]
        return "changes in a message: " + ", ".join(f"{name} {short(changes)}" for name, changes in each)

    def _prepared(self, name: str, load: Load) -> Run:
        self._running.close()
        self._number += 1
        server = served(self._running, name, self._folder / f"relay-{self._number}.db" if name == OURS else None)
        source, crowd = gathered(self._running, server, load.readers)
        sleep(_SETTLE)

        def run() -> int:
            before = spent(server.pid)
            crowd.tell(load.writes * load.readers)
            source.tell((load.writes, load.pace))
            changes, messages = crowd.hear()
            cost = spent(server.pid) - before
            source.hear()
            if changes < load.writes * load.readers:
                raise Silent(f"{name} handed on {changes:,} of {load.writes * load.readers:,} changes")
            self._messages.setdefault((name, load), []).append(changes / messages)
            return cost

        return run
