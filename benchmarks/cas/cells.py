"""Which rounds are run: each differs in one respect from eight agents at one key with nothing between.

Left out, as they tell nothing new: the product of all respects; sets, counters and texts with other numbers of agents
or delays, which follow lists; SQLite behind a network and cut off, for a file has none; syncs to the disk but for one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from benchmarks.cas.tasks import COUNTER, LIST, SET, SPEND, TEXT, THINK
from benchmarks.cas.ways import WAYS

AGENTS = 8
_DOES = {
    LIST: "append to a list",
    SET: "add to a set",
    COUNTER: "count",
    TEXT: "edit a text",
    THINK: "read, think, write",
    SPEND: "spend a budget",
}


class Stage(NamedTuple):
    """What crews are made for."""

    agents: int
    network: str = "direct"  # or proxy, through which they can be late and cut off
    durability: str = "process"  # or power, which every acknowledged write survives


class Round(NamedTuple):
    """What a crew is to do."""

    kind: str
    keys: int
    think: float  # seconds
    seconds: float
    late: float = 0  # seconds that the network takes, each way
    cut: float = 0  # seconds in the middle of it in which nobody reaches anything


class Cell(NamedTuple):
    """A round for every way that is taken for such tasks."""

    stage: Stage
    work: Round

    @property
    def name(self) -> str:
        """In words.

        >>> Cell(Stage(8, "proxy"), Round(LIST, 1, 0.05, 1.0, late=0.02)).name
        'append to a list, 8 agents, 20 ms away'
        """
        agents, work = self.stage.agents, self.work
        words = [_DOES[work.kind], f"{agents} agent{'s' * (agents > 1)}"]
        words += [f"{work.keys} keys"] * (work.keys > 1) + ["without a pause"] * (not work.think)
        words += [f"{work.late * 1000:g} ms away"] * (work.late > 0) + [f"cut off for {work.cut:g} s"] * (work.cut > 0)
        words += ["synced to the disk"] * (self.stage.durability == "power")
        return ", ".join(words)

    def taken_by(self, way: str) -> bool:
        """Whether good users take a way for it.

        >>> Cell(Stage(1), Round(LIST, 1, 0, 1.0)).taken_by("Redis, WATCH and MULTI")
        False
        """
        kind = WAYS[way]
        grows_at_once = self.work.kind == LIST and not self.work.think  # nobody keeps such a list in one value
        return self.work.kind in kind.tasks and not (grows_at_once and kind.manner not in ("direct", "merge"))


class Plan(NamedTuple):
    """All cells, and how often each is run; those that cut agents off, which take long, once."""

    cells: tuple[Cell, ...]
    rounds: int
    ways: tuple[str, ...] = tuple(WAYS)

    @property
    def stages(self) -> Mapping[Stage, list[Cell]]:
        """The cells by what their crews are made for, in order."""
        found: dict[Stage, list[Cell]] = {}
        for cell in self.cells:
            found.setdefault(cell.stage, []).append(cell)
        return found


_THINKING = 0.1  # seconds, on average; so eight agents, each of which takes in all of the others, leave two cores time
_LEFT_OUT = ("Redis, last writer wins", "PostgreSQL, version column")  # of a first look: the same is there by others
_OF_MANY = 1.0  # of 32, for the same reason


def _plan(rounds: int, seconds: float, cut: float, *, full: bool) -> Plan:
    def cell(stage: Stage, kind: str, keys: int = 1, think: float = _THINKING, **given: float) -> Cell:
        return Cell(stage, Round(kind, keys, think, given.pop("seconds", seconds), **given))

    near, far = Stage(AGENTS), Stage(AGENTS if full else AGENTS // 2, "proxy")
    outage = cell(far, LIST, late=0.001, cut=cut, seconds=cut + 2 * seconds)
    if not full:
        return Plan(
            (
                *(cell(near, kind) for kind in (LIST, THINK, SPEND)),
                outage,
                cell(Stage(1), COUNTER, think=0),
            ),
            rounds,
            tuple(way for way in WAYS if way not in _LEFT_OUT),
        )
    return Plan(
        (
            *(cell(near, kind) for kind in (LIST, SET, COUNTER, TEXT, THINK, SPEND)),
            *(cell(near, THINK, keys) for keys in (8, 64)),
            *(cell(Stage(agents), kind) for agents in (1, 2) for kind in (LIST, THINK)),
            *(cell(Stage(1), kind, think=0) for kind in (COUNTER, LIST)),
            *(cell(Stage(32), kind, think=_OF_MANY, seconds=3 * seconds) for kind in (LIST, THINK)),
            *(cell(far, kind, late=late) for late in (0.001, 0.02) for kind in (LIST, THINK)),
            outage,
            cell(Stage(AGENTS, durability="power"), LIST),
        ),
        rounds,
    )


FULL = _plan(3, 1.2, 5.0, full=True)
QUICK = _plan(1, 0.5, 1.5, full=False)
