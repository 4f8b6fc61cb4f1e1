"""What was measured, as rows: one for each cell and way, and what all of them come to. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.cas.cells import AGENTS, Cell, Stage
from benchmarks.cas.tally import Sum, percentile, pooled
from benchmarks.cas.tasks import COUNTER, LIST, SPEND, THINK
from benchmarks.cas.ways import OURS, WAYS
from benchmarks.harness import Figure
from benchmarks.rows import Row, Series

RATE, SHARE = "tasks a second", "of what thinking allows"


@dataclass(frozen=True, slots=True)
class Result:
    """What one way did in the rounds of one cell.

    Args:
        cell: what was done.
        way: in which way.
        sums: of each round.
        memory: bytes that all its processes held after it.
    """

    cell: Cell
    way: str
    sums: tuple[Sum, ...]
    memory: int

    @property
    def rate(self) -> Figure:
        """Tasks a second."""
        return Figure(tuple(one.rate for one in self.sums))

    @property
    def pooled(self) -> Sum:
        """All rounds together."""
        return pooled(self.sums)

    @property
    def thrown(self) -> float:
        """The share of thinking whose result was rejected."""
        whole = self.pooled
        return whole.thrown / whole.thought if whole.thought else 0.0

    def row(self) -> Row:
        """All figures of it."""
        whole, work = self.pooled, self.cell.work
        also: dict[str, float] = {}
        if whole.waits:
            also |= {f"ms {name}": percentile(whole.waits, share) / 1e6 for name, share in _SHARES.items()}
        also["retries a task"] = whole.retries / max(whole.tasks, 1)
        if work.kind == THINK:
            also["% of the thinking thrown away"] = 100 * self.thrown
            also["other values met a task"] = whole.met / max(whole.tasks, 1)
        also["lost"] = whole.lost
        if whole.doubled:
            also["done twice"] = whole.doubled
        if whole.given_up:
            also["given up"] = whole.given_up
        if work.kind == SPEND:
            also["overspent"] = whole.overspent
        else:
            also["ms until all see it"] = 1000 * whole.settled
        if work.cut:
            also["done while cut off"] = whole.cut_off
        also["MiB"] = self.memory / 2**20
        return Row(f"{self.cell.name}: {self.way}", RATE, self.rate, note=f"{whole.tasks:,} tasks", also=also)


_SHARES = {"median": 0.5, "p99": 0.99}
Chosen = Callable[[Result], bool]


def summary(results: Sequence[Result]) -> Iterator[Row]:
    """What all of them come to, beside the targets."""
    yield from _lost(results)
    ours = [one for one in results if one.way == OURS]
    if thinking := [one for one in ours if one.cell.work.kind == THINK]:
        yield Row("cas, thinking thrown away by crdtmem", "%", Figure((100 * max(one.thrown for one in thinking),)))
    yield from _cut_off(ours)
    yield from _spent(results)
    near = Stage(AGENTS)
    for kind, agents in ((THINK, AGENTS), (LIST, AGENTS), (COUNTER, 1)):
        yield from _beside(
            results,
            f"cas, {_AT[kind]}: crdtmem beside the best that checks",
            lambda one, kind=kind, agents=agents: (
                one.cell.work.kind == kind
                and one.cell.stage == near._replace(agents=agents)
                and one.cell.work.keys == 1
                and (kind != COUNTER or not one.cell.work.think)
            ),
        )
    yield from _plotted(results)


_AT = {THINK: "thinking at one key", LIST: "appending to one list", COUNTER: "counting alone, without a pause"}


def _lost(results: Sequence[Result]) -> Iterator[Row]:
    sides: dict[str, Chosen] = {
        "by crdtmem": lambda one: one.way == OURS,
        "where stale writes are refused": lambda one: WAYS[one.way].checks,
        "by one statement": lambda one: WAYS[one.way].manner == "direct",
        "where the last writer wins": lambda one: WAYS[one.way].manner == "overwrite",
    }
    for name, chosen in sides.items():
        if found := [one.pooled for one in results if chosen(one)]:
            note = f"of {sum(one.tasks for one in found):,} acknowledged, in {len(found)} cells"
            yield Row(f"cas, updates lost {name}", "updates", Figure((sum(one.lost for one in found),)), note=note)


def _cut_off(ours: Sequence[Result]) -> Iterator[Row]:
    """What agents of ours did while nobody was reached, beside what they do otherwise."""
    for one in ours:
        work = one.cell.work
        if work.cut:
            usual = [(len(sum.waits) - sum.cut_off) / (work.seconds - work.cut) for sum in one.sums]
            shares = [sum.cut_off / work.cut / max(rate, 1) for sum, rate in zip(one.sums, usual, strict=True)]
            yield Row("cas, work of crdtmem while cut off", "x its usual rate", Figure(tuple(shares)))


def _spent(results: Sequence[Result]) -> Iterator[Row]:
    """A strict limit: what a shared memory without an arbiter cannot keep."""
    spending = [one for one in results if one.cell.work.kind == SPEND]
    sides: dict[str, Chosen] = {
        "by crdtmem": lambda one: one.way == OURS,
        "where stale writes are refused": lambda one: WAYS[one.way].checks,
    }
    for name, chosen in sides.items():
        if found := [one for one in spending if chosen(one)]:
            worst = tuple(sum.overspent for one in found for sum in one.sums)
            yield Row(f"cas, overspent {name}", "units", Figure(worst), note="for each round and way; of 40")


def _beside(results: Sequence[Result], name: str, chosen: Chosen) -> Iterator[Row]:
    """Ours over the best of those that refuse stale writes, round by round."""
    found = {one.way: one.rate for one in results if chosen(one)}
    rivals = [way for way in found if WAYS[way].checks]
    if OURS in found and rivals:
        best = max(rivals, key=lambda way: found[way].median)
        yield Row(name, "x its rate", found[OURS].over(found[best]), note=f"the best is {best}")


def _plotted(results: Sequence[Result]) -> Iterator[Row]:
    """How much of what thinking alone would allow is done, by agents: large crews think longer."""
    for kind in (LIST, THINK):
        lines = []
        for way in WAYS:
            points = {
                one.cell.stage.agents: one.rate.median * one.cell.work.think / one.cell.stage.agents
                for one in results
                if one.way == way and one.cell.work.kind == kind and _plain(one.cell)
            }
            if len(points) > 1:
                lines.append(Series(way, "agents", SHARE, tuple(sorted((x, y) for x, y in points.items() if y > 0))))
        if lines:
            last = Figure((dict(lines[0].points)[max(x for x, _ in lines[0].points)],))
            note = f"of {lines[0].name}, the most agents"
            yield Row(f"cas, {_AT[kind]}, by agents", SHARE, last, note=note, series=tuple(lines))


def _plain(cell: Cell) -> bool:
    stage, work = cell.stage, cell.work
    return stage == Stage(stage.agents) and work.keys == 1 and work.think > 0
