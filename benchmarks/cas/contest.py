"""The rows of a plan: crews take turns at its cells, and what they did is added up.

1. Every way is used as its good users do: bounded retries with full jitter, one statement where one is enough. The ways
   that overwrite are the floor that nobody should stand on.
2. All crews of a stage are up at once and take turns, in reversed order every other round; a first short round of each
   kind of task is thrown away. Of large crews, which would be too many processes, one is up after the other.
3. What was lost is counted: what calls had acknowledged, against what is there in the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from benchmarks.cas.cells import Cell, Plan, Stage
from benchmarks.cas.crew import Crew, Servers
from benchmarks.cas.summary import Result, summary
from benchmarks.cas.tally import Sum
from benchmarks.cas.ways import WAYS
from benchmarks.postgres import Absent
from benchmarks.rows import Row

_PROCESSES = 80
_WARMING = 0.25  # seconds


def measured(plan: Plan, folder: Path, names: tuple[str, ...] = tuple(WAYS)) -> Iterator[Row]:
    """The rows of a plan.

    Args:
        plan: what is run.
        folder: for the files.
        names: of the ways to compare.
    """
    results: list[Result] = []
    absent: dict[str, str] = {}
    with ExitStack() as running:
        servers = {kept: running.enter_context(Servers(kept)) for kept in {stage.durability for stage in plan.stages}}
        for stage, cells in plan.stages.items():
            fit = max(_PROCESSES // stage.agents, 1)
            taken = [name for name in names if stage.network == "direct" or WAYS[name].networked]
            for start in range(0, len(taken), fit):
                crews = _Crews(stage, taken[start : start + fit], servers[stage.durability], folder)
                for found in crews.run(cells, plan.rounds, absent):
                    results.append(found)
                    yield found.row()
    for name, reason in absent.items():
        yield Row(f"cas, {name}", "tasks a second", None, note=f"skipped: {reason}")
    yield from summary(results)


class _Crews(NamedTuple):
    """Those that are up together."""

    stage: Stage
    names: Sequence[str]
    servers: Servers
    folder: Path

    def run(self, cells: Sequence[Cell], rounds: int, absent: dict[str, str]) -> Iterator[Result]:
        """Let them take turns at each cell; whoever cannot be there is noted with the reason."""
        with ExitStack() as up:
            crews = []
            for name in self.names:
                try:
                    if name not in absent:
                        crews.append(up.enter_context(self._crew(name, up)))
                except Absent as reason:
                    absent[name] = str(reason)
            for cell in cells:
                doing = [crew for crew in crews if cell.taken_by(crew.name)]
                for crew in doing:
                    crew.round(cell.work._replace(seconds=_WARMING, cut=0, think=min(cell.work.think, _WARMING / 10)))
                sums: dict[str, list[Sum]] = {crew.name: [] for crew in doing}
                for number in range(rounds if not cell.work.cut else 1):
                    for crew in doing if number % 2 else reversed(doing):
                        sums[crew.name].append(crew.round(cell.work))
                for crew in doing:
                    yield Result(cell, crew.name, tuple(sums[crew.name]), crew.memory())

    def _crew(self, name: str, up: ExitStack) -> Crew:
        return Crew(name, self.stage, self.servers, Path(up.enter_context(TemporaryDirectory(dir=self.folder))))
