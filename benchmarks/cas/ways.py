"""The ways of sharing that are compared, by name; and how a good user goes about values that are read and written.

A way has five methods:

    make(kind, names)       put there what a round begins with
    do(kind, name, tag, think) -> Done     one task; returned means acknowledged
    mark(kind, names)       something that differs while what is seen differs
    view(kind, names)       the value of each
    close()

Whoever is refused, because somebody else was first, tries again after a pause drawn from all up to a limit that doubles
(full jitter), so many times; whoever cannot reach the store does so for longer. Both then give up.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager, suppress
from importlib import import_module
from random import Random
from typing import Any, NamedTuple, Protocol

from benchmarks.cas.tasks import COUNTER, LIST, SET, SPEND, TEXT, THINK, applied, empty, holds

TRIES = 20
PATIENCE = 20.0  # seconds that an agent tries to reach a store
_FIRST, _LONGEST = 0.002, 0.5  # seconds: the limits of the pauses
Think = Callable[[], None]


class Unreachable(Exception):
    """The store does not answer; whether it has heard is not known."""


class GaveUp(Exception):
    """A task was given up after so many tries."""

    def __init__(self, retries: int) -> None:
        super().__init__(f"given up after {retries} retries")
        self.retries = retries


class Done(NamedTuple):
    """A task was acknowledged."""

    retries: int = 0
    met: int = 0  # values beside one another that had to be reconciled


class Way(Protocol):
    """One way of sharing, in the process of one agent."""

    def make(self, kind: str, names: Sequence[str]) -> None: ...
    def do(self, kind: str, name: str, tag: str, think: Think) -> Done: ...
    def mark(self, kind: str, names: Sequence[str]) -> Hashable: ...
    def view(self, kind: str, names: Sequence[str]) -> list[Any]: ...
    def close(self) -> None: ...


class Rows(Protocol):
    """A store of values that are read and written whole, as text. Any call may raise Unreachable."""

    def make(self, kind: str, names: Sequence[str], text: str) -> None: ...
    def get(self, name: str) -> str: ...
    def read(self, name: str) -> tuple[str, Any]: ...  # with its version
    def swap(self, name: str, text: str, version: Any) -> bool: ...
    def write(self, name: str, text: str) -> None: ...
    def direct(self, kind: str, name: str, tag: str, who: str) -> None: ...
    def view(self, kind: str, names: Sequence[str], *, direct: bool) -> list[Any]: ...
    def again(self) -> None: ...
    def close(self) -> None: ...


class Lockable(Rows, Protocol):
    """A store that can lock a row."""

    def locked(self, name: str) -> AbstractContextManager[tuple[str, Callable[[str], None]]]: ...


class _Attempt(NamedTuple):
    """One try at a task."""

    kind: str
    name: str
    tag: str
    think: Think
    again: bool  # after the store could not be reached: it may have heard

    def was_done(self, value: Any) -> bool:
        """Whether it is there already."""
        return self.again and holds(self.kind, value, self.tag)


class Stored:
    """A way over a store of rows.

    Args:
        rows: the store: Rows, or Lockable for `lock`.
        manner: `swap`, `overwrite`, `lock` or `direct`.
        who: the agent.
        clock: seconds.
        sleep: waits for so many seconds.
    """

    def __init__(
        self,
        rows: Any,
        manner: str,
        who: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._rows = rows
        self._direct = manner == "direct"
        self._try = {"swap": self._swap, "overwrite": self._overwrite, "lock": self._lock, "direct": self._tell}[manner]
        self._who = who
        self._rng = Random(who)
        self._clock = clock
        self._sleep = sleep

    def make(self, kind: str, names: Sequence[str]) -> None:
        """Put the rows there."""
        self._rows.make(kind, names, json.dumps(empty(kind)))

    def do(self, kind: str, name: str, tag: str, think: Think) -> Done:
        """Try until it is done, or too often, or for too long."""
        retries, torn, patience = 0, 0, self._clock() + PATIENCE
        while True:
            try:
                if self._try(_Attempt(kind, name, tag, think, again=torn > 0)):
                    return Done(retries)
            except Unreachable:
                torn += 1
                if self._clock() > patience:
                    raise GaveUp(retries) from None
                self._pause(torn)
                self._reconnect()
                continue
            retries += 1
            if retries == TRIES:
                raise GaveUp(retries)
            self._pause(retries)

    def _swap(self, task: _Attempt) -> bool:
        text, version = self._rows.read(task.name)
        value = json.loads(text)
        if task.was_done(value):
            return True
        task.think()
        return bool(self._rows.swap(task.name, self._written(task, value), version))

    def _overwrite(self, task: _Attempt) -> bool:
        value = json.loads(self._rows.get(task.name))
        task.think()
        self._rows.write(task.name, self._written(task, value))
        return True

    def _lock(self, task: _Attempt) -> bool:
        with self._rows.locked(task.name) as (text, write):
            value = json.loads(text)
            if not task.was_done(value):
                task.think()
                write(self._written(task, value))
        return True

    def _tell(self, task: _Attempt) -> bool:
        self._rows.direct(task.kind, task.name, task.tag, self._who)
        return True

    def _written(self, task: _Attempt, value: Any) -> str:
        return json.dumps(applied(task.kind, value, task.tag, self._who))

    def mark(self, kind: str, names: Sequence[str]) -> Hashable:
        """All of it: whoever wants to know what others wrote reads it."""
        return json.dumps(self.view(kind, names))

    def view(self, kind: str, names: Sequence[str]) -> list[Any]:
        """What is there."""
        while True:
            try:
                return self._rows.view(kind, names, direct=self._direct)
            except Unreachable:
                self._pause(1)
                self._reconnect()

    def _reconnect(self) -> None:
        with suppress(Unreachable):  # the next try says so
            self._rows.again()

    def _pause(self, number: int) -> None:
        self._sleep(self._rng.uniform(0, min(_FIRST * 2 ** min(number, 20), _LONGEST)))

    def close(self) -> None:
        """Let go of the store."""
        self._rows.close()


class Kind(NamedTuple):
    """One way: which store, in which manner, and for which tasks it is taken."""

    store: str  # the module that knows it
    manner: str
    tasks: tuple[str, ...]

    @property
    def networked(self) -> bool:
        """Whether there is a network between an agent and what it shares."""
        return self.store != "sqlite"

    @property
    def checks(self) -> bool:
        """Whether a write that rests on an old value is refused."""
        return self.manner in ("swap", "lock")


_ALL, _BY_ONE_STATEMENT = (LIST, SET, COUNTER, TEXT, THINK, SPEND), (LIST, SET, COUNTER, TEXT, SPEND)
OURS = "crdtmem"
WAYS = {
    OURS: Kind("shared", "merge", _ALL),
    "SQLite, version column": Kind("sqlite", "swap", _ALL),
    "SQLite, one statement": Kind("sqlite", "direct", _BY_ONE_STATEMENT),
    "SQLite, last writer wins": Kind("sqlite", "overwrite", _ALL),
    "Redis, WATCH and MULTI": Kind("redis", "swap", _ALL),
    "Redis, one command": Kind("redis", "direct", _BY_ONE_STATEMENT),
    "Redis, last writer wins": Kind("redis", "overwrite", _ALL),
    "PostgreSQL, version column": Kind("postgres", "swap", _ALL),
    "PostgreSQL, SELECT FOR UPDATE": Kind("postgres", "lock", _ALL),
    "PostgreSQL, one statement": Kind("postgres", "direct", _BY_ONE_STATEMENT),
}


def way(kind: Kind, address: Any, path: str, who: str, durability: str) -> Way:
    """Begin to share in a way.

    Args:
        kind: which.
        address: the port of the server or relay; None where there is none.
        path: a file: the agent's own, or that of all.
        who: the agent.
        durability: `process`, or `power` where every write is synced to the disk.
    """
    found = import_module(f"benchmarks.cas.{kind.store}").connect(address, path, who, durability)
    return found if kind.manner == "merge" else Stored(found, kind.manner, who)
