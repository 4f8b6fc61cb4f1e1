"""How the cost of operations grows: with entries, with agents, with namespaces. The run fails if one grows too fast.

The work of n steps may grow as n log n, so a step that is taken for each write or read may only grow as log n, and what
looks at the whole memory as n log n. The limits in `targets.py` leave room for noise, and caches that are too small.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import thread_time_ns

from benchmarks import spread
from benchmarks.bulk import OPERATIONS, Bulk, Made, Operation
from benchmarks.effort import Effort
from benchmarks.fit import Point, growth
from benchmarks.harness import Figure
from benchmarks.long import EDITS, Long, RawLong
from benchmarks.rows import Row, Series, short
from benchmarks.targets import EXPONENT

ALIKE = {
    "durability": "in memory, but a file for each replica and relay where agents or namespaces grow",
    "processes": "1, and one for the relay and for those who write and read through it",
    "payload": "sentences of 8 words, as frequent as in texts, with a reason",
}
ENTRIES = (100, 1_000, 10_000, 100_000, 1_000_000)
AGENTS = (2, 8, 32, 128)
NAMESPACES = (1, 10, 100, 1_000)


def rows(effort: Effort) -> Iterator[Row]:
    """All rows, in the order of the table."""
    full = effort.rounds > 5
    rounds = 3 if full else 1
    entries, agents, namespaces = (sizes if full else sizes[:-1] for sizes in (ENTRIES, AGENTS, NAMESPACES))
    for operation, points in grown(OPERATIONS, Bulk, entries, rounds):
        yield judged(f"{operation.name}, by entries", "entries", operation.unit, points, reduced=not full)
    raw = {edit.name: points for edit, points in grown(EDITS, RawLong, entries, rounds)}
    for edit, points in grown(EDITS, Long, entries, rounds):
        yield judged(f"{edit.name}, by entries", "entries", edit.unit, points, raw[edit.name], reduced=not full)
    with TemporaryDirectory(prefix="benchmark-", dir=effort.folder) as folder:
        for what, sizes, costs in (("agents", agents, spread.agents), ("namespaces", namespaces, spread.namespaces)):
            found: dict[tuple[str, str], list[Point]] = {}
            for size in sizes:
                for name, (unit, cost) in costs(size, rounds, Path(folder)).items():
                    found.setdefault((name, unit), []).append((size, cost))
            for (name, unit), points in found.items():
                yield judged(f"{name}, by {what}", what, unit, points, reduced=not full)


def grown(
    operations: Sequence[Operation[Made]], make: Callable[[int], Made], sizes: Sequence[int], rounds: int
) -> Iterator[tuple[Operation[Made], list[Point]]]:
    """Each operation, with what it costs at each size: the median of some rounds, in which the sizes take turns.

    Args:
        operations: what is done.
        make: makes what it is done to.
        sizes: of that.
        rounds: how many, after one that is thrown away.
    """
    made = {size: make(size) for size in sizes}
    gc.collect()
    gc.freeze()  # what is there is not looked through over and over while others are timed
    try:
        for operation in operations:
            taken: Mapping[int, list[float]] = {size: [] for size in sizes}
            for number in range(rounds + 1):
                for size in sizes if number % 2 else reversed(sizes):
                    cost = _once(operation, made[size])
                    if number:
                        taken[size].append(cost)
            yield operation, [(size, median(costs)) for size, costs in taken.items()]
    finally:
        gc.unfreeze()


def _once(operation: Operation[Made], made: Made) -> float:
    run = operation.prepare(made)
    began = thread_time_ns()
    own = run()
    return (thread_time_ns() - began if own is None else own) / operation.times / 1000


def judged(
    name: str, what: str, unit: str, points: Sequence[Point], floor: Sequence[Point] = (), *, reduced: bool = False
) -> Row:
    """A row that says how fast a cost grows, with its lines for a plot.

    Args:
        name: what costs.
        what: what there is more of.
        unit: of the cost.
        points: what it costs at each size.
        floor: what pycrdt alone takes for the same.
        reduced: the largest size was left out.
    """
    lines = [Series("crdtmem", what, unit, tuple(points), exponent=growth(points))]
    if floor:
        lines.append(Series("raw pycrdt", what, unit, tuple(floor), exponent=growth(floor)))
    note = "; ".join(map(_told, lines))
    return Row(f"scale, {name}", EXPONENT, Figure((growth(points),)), note=note, reduced=reduced, series=tuple(lines))


def _told(line: Series) -> str:
    (least, first), *_, (most, last) = sorted(line.points)
    words = f"{line.name} {short(first)} {line.y} at {least:,.0f} {line.x}, {short(last)} at {most:,.0f}"
    return words if line.name == "crdtmem" else f"{words}, exponent {short(line.exponent or 0)}"
