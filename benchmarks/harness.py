"""Timing that can be compared: the sides of a row take turns in one process, and a ratio is taken within each round.

1. A round prepares a side untimed, collects garbage, and times one run of many operations.
2. Rounds alternate the sides and reverse their order every time, so drift of the machine meets all of them alike.
   A first round warms up and is thrown away, but where each run has processes of its own: nothing would be warm.
3. What stood before a run is frozen out of the garbage collector, so no side pays for another's objects. What a run
   allocates itself is collected as in any program.
4. A figure is the median over the rounds, its spread the smallest and the largest round.
5. The clock is the processor time of this thread, so that busy neighbours do not count: right as long as nothing in a
   run waits. What waits, for a disk or a peer, is measured with another clock, handed in.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from time import thread_time_ns

Run = Callable[[], int | None]


@dataclass(frozen=True, slots=True)
class Side:
    """One thing to time.

    Args:
        name: how the table calls it.
        operations: how many of them one run does.
        prepare: makes a fresh run, untimed. A run that times only a part of itself returns those nanoseconds.
    """

    name: str
    operations: int
    prepare: Callable[[], Run]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure for each round.

    >>> Figure((3.0, 1.0, 2.0)).median
    2.0
    """

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle of the rounds."""
        return median(self.rounds)

    @property
    def low(self) -> float:
        """The smallest round."""
        return min(self.rounds)

    @property
    def high(self) -> float:
        """The largest round."""
        return max(self.rounds)

    def scaled(self, factor: float) -> Figure:
        """Each round times a factor.

        >>> Figure((2.0,)).scaled(0.5).rounds
        (1.0,)
        """
        return Figure(tuple(one * factor for one in self.rounds))

    def plus(self, other: Figure) -> Figure:
        """Round by round, the sum.

        >>> Figure((2.0,)).plus(Figure((1.0,))).rounds
        (3.0,)
        """
        return Figure(tuple(a + b for a, b in zip(self.rounds, other.rounds, strict=True)))

    def over(self, other: Figure) -> Figure:
        """Round by round, this divided by the other.

        >>> Figure((6.0, 2.0)).over(Figure((3.0, 1.0))).rounds
        (2.0, 2.0)
        """
        return Figure(tuple(a / b for a, b in zip(self.rounds, other.rounds, strict=True)))


def measure(
    sides: Sequence[Side], rounds: int, clock: Callable[[], int] = thread_time_ns, *, warming: int = 1
) -> dict[str, Figure]:
    """Microseconds for one operation of each side, by its name; so many rounds before are thrown away."""
    taken: dict[str, list[float]] = {side.name: [] for side in sides}
    for number in range(1 - warming, rounds + 1):
        for side in sides if number % 2 else reversed(sides):
            spent = _once(side, clock) / side.operations / 1000
            if number > 0:
                taken[side.name].append(spent)
    return {name: Figure(tuple(found)) for name, found in taken.items()}


def _once(side: Side, clock: Callable[[], int]) -> int:
    run = side.prepare()
    gc.collect()
    gc.freeze()
    try:
        started = clock()
        own = run()
        return clock() - started if own is None else own
    finally:
        gc.unfreeze()
