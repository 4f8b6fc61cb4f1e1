"""What a round adds up to, from what the agents say they did and what is there in the end. Pure.

1. Only what was acknowledged can be lost: the call had returned.
2. Thinking is thrown away when its result was rejected, or its task was given up or left undone.
3. The time of a write is all that its agent waited for beyond having thought once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil
from statistics import median
from typing import Any, NamedTuple

from benchmarks.cas.tasks import BUDGET, COUNTER, SPEND, tags

NANO = 1e9
ACKNOWLEDGED, GIVEN_UP, UNDONE = "acknowledged", "given up", "undone"  # undone: the round was over


class Task(NamedTuple):
    """One task, as its agent tells it; times in nanoseconds of the clock that all processes share."""

    tag: str
    began: int
    ended: int
    became: str  # acknowledged, given up, or undone
    retries: int = 0
    thought: tuple[int, ...] = ()  # how long, each time
    met: int = 0  # concurrent values it had to reconcile

    @property
    def acknowledged(self) -> bool:
        """Whether the call has returned.

        >>> Task("1.1", 0, 100, GIVEN_UP).acknowledged
        False
        """
        return self.became == ACKNOWLEDGED

    @property
    def waited(self) -> int:
        """How long the write took.

        >>> Task("1.1", 0, 100, ACKNOWLEDGED, retries=1, thought=(30, 40)).waited
        70
        """
        return self.ended - self.began - (self.thought[0] if self.thought else 0)

    @property
    def thrown(self) -> int:
        """The thinking whose result was not taken.

        >>> Task("1.1", 0, 100, ACKNOWLEDGED, retries=1, thought=(30, 40)).thrown
        30
        """
        return sum(self.thought[:-1] if self.acknowledged else self.thought)


class Span(NamedTuple):
    """From when to when."""

    began: int
    ended: int

    def holds(self, task: Task) -> bool:
        """Whether a task was acknowledged within it.

        >>> Span(0, 10).holds(Task("1.1", 0, 10, ACKNOWLEDGED))
        True
        """
        return task.acknowledged and self.began <= task.ended <= self.ended


class Sum(NamedTuple):
    """What a round comes to."""

    rate: float  # tasks a second, of all agents
    waits: tuple[int, ...]  # of the writes that were acknowledged
    tasks: int
    retries: int
    thought: int
    thrown: int
    given_up: int
    lost: int
    doubled: int
    overspent: int
    settled: float  # seconds until all saw what all see in the end
    met: int
    cut_off: int  # acknowledged while the others could not be reached


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest value that so large a share of all are not above.

    >>> percentile([4, 1, 3, 2], 0.5), percentile([4, 1, 3, 2], 0.99)
    (2, 4)
    """
    found = sorted(values)
    if not found:
        raise ValueError("there is no percentile of nothing")
    return found[max(ceil(share * len(found)), 1) - 1]


def summed(
    kind: str, done: Sequence[Task], state: Sequence[Any], span: Span, seen: int, cut: Span | None = None
) -> Sum:
    """Add a round up.

    Args:
        kind: of the tasks.
        done: all tasks of all agents.
        state: the value of each key in the end.
        span: for how long they were to work; what came later is not in the rate, and may be lost all the same.
        seen: nanoseconds from when all had stopped until the last of them saw what all see in the end.
        cut: when the others could not be reached.

    >>> tasks = [Task("1.1", 0, 5, ACKNOWLEDGED), Task("2.1", 0, 7, ACKNOWLEDGED), Task("2.2", 8, 9, GIVEN_UP)]
    >>> summed("counter", tasks, [1], Span(0, 10**9), 12).lost
    1
    """
    kept = [task for task in done if task.acknowledged]
    lost, doubled = _differ(kind, done, kept, state)
    return Sum(
        rate=sum(map(span.holds, kept)) * NANO / (span.ended - span.began),
        waits=tuple(task.waited for task in kept),
        tasks=len(kept),
        retries=sum(task.retries for task in done),
        thought=sum(sum(task.thought) for task in done),
        thrown=sum(task.thrown for task in done),
        given_up=sum(task.became == GIVEN_UP for task in done),
        lost=lost,
        doubled=doubled,
        overspent=max(len(kept) - BUDGET, 0) if kind == SPEND else 0,
        settled=seen / NANO,
        met=sum(task.met for task in done),
        cut_off=sum(map(cut.holds, kept)) if cut else 0,
    )


def pooled(sums: Sequence[Sum]) -> Sum:
    """Rounds together: the median of the rates, the longest wait for all to see it, and the rest added up.

    >>> one = summed("counter", [Task("1.1", 0, 5, ACKNOWLEDGED)], [1], Span(0, 10**9), 0)
    >>> pooled([one, one]).tasks, pooled([one, one]).rate
    (2, 1.0)
    """
    whole = Sum(*map(_added, zip(*sums, strict=True)))
    return whole._replace(rate=median(one.rate for one in sums), settled=max(one.settled for one in sums))


def _added(figures: Sequence[Any]) -> Any:
    return sum(figures, ()) if isinstance(figures[0], tuple) else sum(figures)


def _differ(kind: str, done: Sequence[Task], kept: Sequence[Task], state: Sequence[Any]) -> tuple[int, int]:
    """How many acknowledged tasks are not there, and how many are there more often than they were done."""
    if kind == SPEND:
        return 0, 0  # what counts is what was spent beyond the budget
    if kind == COUNTER:
        return max(len(kept) - sum(state), 0), max(sum(state) - len(done), 0)
    there = tags(kind, state)
    return sum(not there[task.tag] for task in kept), sum(count - 1 for count in there.values())
