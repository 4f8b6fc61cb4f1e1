"""The same document on other servers and on a relay of ours: how fast, at what cost, and what is left after kill -9."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks import rivals
from benchmarks.apart import Silent, resident, spent
from benchmarks.effort import Effort
from benchmarks.harness import Figure
from benchmarks.kept import kept
from benchmarks.mirror import first_sync
from benchmarks.rows import Row, short
from benchmarks.stage import OURS, gathered, served

ALIKE = {
    "payload": "a text of 60 bytes appended to one sequence, a change or an update of its own each time",
    "durability": "ours verifies each seal and commits to a file before it hands on; the others keep all in memory",
    "processes": "the server, its writer and its readers have one each, on one machine",
}
READERS = 10
PACE = 100.0  # writes a second, before a kill
_PRESSED = 12.0  # seconds of them: longer than the longest that any of these servers puts off storing


class Round(NamedTuple):
    """What one server did in one round."""

    writes: float  # a second
    deliveries: float  # a second
    cost: float  # microseconds of processor time for each delivery
    memory: float  # MiB
    before: float  # MiB when nobody was there
    joining: float  # milliseconds


UNITS = {  # what a field of a round is called, in a row
    "writes": ("writes", "a second"),
    "deliveries": ("deliveries", "a second"),
    "cost": ("processor time of the server", "us a delivery"),
    "memory": ("memory of the server", "MiB"),
    "joining": ("first sync of a newcomer", "ms"),
}
STORES = {  # what each keeps documents in, by its documentation
    OURS: "its file",
    "y-websocket": "LevelDB",
    "@y/websocket-server": "LevelDB",
    "pycrdt-websocket": "its SQLiteYStore",
    "hocuspocus": "its Database extension",
}


def rows(effort: Effort) -> Iterator[Row]:
    """All rows, in the order of the table."""
    absent = {name: why for name in rivals.RIVALS if (why := rivals.why_absent(name))}
    names = [OURS, *(name for name in rivals.RIVALS if name not in absent)]
    with TemporaryDirectory(prefix="benchmark-", dir=effort.folder) as folder:
        yield from _pressed(names, absent, effort, Path(folder))
        yield from _killed(names, absent, effort, Path(folder))


def _pressed(names: list[str], absent: dict[str, str], effort: Effort, folder: Path) -> Iterator[Row]:
    found: dict[str, list[Round]] = defaultdict(list)
    for number in range((effort.rounds + 2) // 3):
        for name in reversed(names) if number % 2 else names:
            found[name].append(_round(name, effort.burst, folder / f"relay-{number}.db"))
    size = f"{effort.burst:,} writes at once by one, {READERS} readers"
    for field, (what, unit) in UNITS.items():
        for name in names:
            figure = Figure(tuple(getattr(one, field) for one in found[name]))
            note = size
            if field == "memory":
                note += f"; {short(found[name][0].before)} MiB before anybody came"
            yield Row(f"peers, {what}, {name}", unit, figure, note=note)
        for name, why in absent.items():
            yield Row(f"peers, {what}, {name}", unit, None, note=why)


def _round(name: str, writes: int, path: Path) -> Round:
    with ExitStack() as running:
        server = served(running, name, path if name == OURS else None)
        before = resident(server.pid)
        source, crowd = gathered(running, server, READERS)
        deliveries = writes * READERS
        cost = spent(server.pid)
        began = time.perf_counter()
        crowd.tell(deliveries)
        source.tell((writes, None))
        heard, _ = crowd.hear()
        taken = time.perf_counter() - began
        cost = spent(server.pid) - cost
        source.hear()
        there, joining = first_sync(server.url, server.speech, writes + 1)
        if heard < deliveries or there < writes:
            raise Silent(f"{name} handed on {heard:,} of {deliveries:,} changes, and {there:,} of {writes:,} later")
        memory = resident(server.pid)
    mib = 1 << 20
    return Round(writes / taken, heard / taken, cost / heard / 1000, memory / mib, before / mib, joining * 1000)


def _killed(names: list[str], absent: dict[str, str], effort: Effort, folder: Path) -> Iterator[Row]:
    seconds = _PRESSED if effort.rounds > 5 else _PRESSED / 24
    writes = round(PACE * seconds)
    unit = "% of the writes it handed on"
    said = f"{writes:,} writes, {PACE:g} a second, then kill -9 at once"
    for name in names:
        ways = {"as its README starts it": None, f"with {STORES[name]}": folder / f"kept-{name.replace('/', '-')}"}
        if name == OURS:
            del ways["as its README starts it"]  # a relay has a file, always
        for way, store in ways.items():
            found = kept(name, store, writes, PACE)
            note = f"{found.there:,} of {found.handed:,}; {said}"
            yield Row(f"peers, left after kill -9, {name}, {way}", unit, Figure((found.share,)), note=note)
    for name, why in absent.items():
        yield Row(f"peers, left after kill -9, {name}", unit, None, note=why)
