"""The process of one agent: it thinks, and shares what it comes to, in the way it was given."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from multiprocessing.connection import Connection
from random import Random
from typing import Any, NamedTuple

from benchmarks.apart import told
from benchmarks.cas.tally import ACKNOWLEDGED, GIVEN_UP, UNDONE, Task
from benchmarks.cas.tasks import SPEND, THINK, Spent
from benchmarks.cas.ways import Done, GaveUp, Kind, Way, way


class Order(NamedTuple):
    """What all agents of a crew do in a round."""

    kind: str
    names: tuple[str, ...]  # the keys they share
    think: float  # seconds, on average
    begin: int  # nanoseconds of the clock that all processes share
    end: int  # nobody begins a task after that
    look: float  # seconds between looks at what the others wrote, once all is done


def agent(end: Connection, kind: Kind, address: Any, path: str, number: int, durability: str) -> None:
    """Share, and do what is told.

    ("make", kind, names)   put there what a round begins with
    Order                   do a round; answers with its tasks and when it stopped, then looks until asked for values
    ("mark", kind, names)   answers with what is seen, and since when
    ("view", kind, names)   answers with the values
    """
    shares = way(kind, address, path, f"agent {number}", durability)
    looking = _Looking(shares)
    rounds = 0
    end.send("ready")
    while True:
        while looking.at and not end.poll(looking.at.look):
            looking.look()
        what = told(end)
        if isinstance(what, Order):
            rounds += 1
            end.send((worked(shares, what, number, rounds), time.monotonic_ns()))
            looking.at = what
            continue
        asked, tasks, names = what
        if asked == "make":
            end.send(shares.make(tasks, names))
        elif asked == "mark":
            end.send(looking.asked(tasks, names))
        else:
            looking.at = None
            end.send(shares.view(tasks, names))


class _Looking:
    """What is seen, and since when."""

    def __init__(self, shares: Way) -> None:
        self._shares = shares
        self.at: Order | None = None
        self._mark: Hashable = None
        self._since = 0

    def look(self) -> None:
        assert self.at is not None
        self.asked(self.at.kind, self.at.names)

    def asked(self, kind: str, names: tuple[str, ...]) -> tuple[Hashable, int]:
        mark = self._shares.mark(kind, names)
        if mark != self._mark:
            self._mark, self._since = mark, time.monotonic_ns()
        return mark, self._since


def worked(
    shares: Way,
    order: Order,
    number: int,
    rounds: int,
    *,
    clock: Callable[[], int] = time.monotonic_ns,
    sleep: Callable[[float], object] = time.sleep,
) -> list[Task]:
    """Do all tasks that are begun in time; at the end the first agent does one more, for all to wait for.

    After the end nobody thinks anew: what is refused then, or still waits to be let in, is left undone.

    Args:
        shares: the way.
        order: what to do.
        number: of this agent.
        rounds: how many this is.
        clock: nanoseconds that all processes share.
        sleep: waits for so many seconds.
    """
    rng = Random(f"{order.names[0]} {number}")
    done: list[Task] = []
    thought: list[int] = []
    last = False

    def think() -> None:
        began = clock()
        if began >= order.end and not last:
            raise _Over
        sleep(order.think * rng.uniform(0.5, 1.5))
        thought.append(clock() - began)

    sleep(max(order.begin - clock(), 0) / 1e9)
    while True:
        if order.kind != THINK:
            left = max(order.end - clock(), 0) / 1e9
            sleep(min(order.think * rng.uniform(0.5, 1.5), left))
        last = clock() >= order.end
        if last and (number or order.kind == SPEND):
            return done
        tag = f"{rounds}.{number}.{len(done)}"
        thought.clear()
        began = clock()
        found, became = Done(), ACKNOWLEDGED
        try:
            found = shares.do(order.kind, rng.choice(order.names), tag, think if order.kind == THINK else _do_not)
        except GaveUp as gave_up:
            found, became = Done(gave_up.retries), GIVEN_UP
        except _Over:
            found, became = Done(max(len(thought) - 1, 0)), UNDONE
        except Spent:
            return done
        done.append(Task(tag, began, clock(), became, found.retries, tuple(thought), found.met))
        if last or became == UNDONE:
            return done


class _Over(Exception):
    """The round is over."""


def _do_not() -> None:
    """What is written does not rest on what is read."""
