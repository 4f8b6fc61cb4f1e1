"""Agents for tests: each a memory of its own, with a clock that is set by hand, and a way to exchange all they know."""

from collections.abc import Callable
from itertools import count
from typing import Any

from crdtmem import Memory, MemoryStore, Namespace, Received, Record, Replica, StoreError
from crdtmem.store import Log

SCOPE = Namespace(tenant="acme", task="test")


class Time:
    """Seconds since 1970 that pass only when told."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += seconds


def crew(*agents: str, time: Callable[[], float] | None = None) -> list[Memory]:
    """One memory of the same namespace for each agent."""
    return [Replica(agent, time=time or tick).open(SCOPE) for agent in agents]


def alone(agent: str = "ann", **options: Any) -> Memory:
    """One memory."""
    return Replica(agent, **{"time": tick, **options}).open(SCOPE)


_seconds = count(1_700_000_000)


def tick() -> float:
    """A second later with every reading, whoever reads: so who wrote later is never left to chance."""
    return float(next(_seconds))


def tell(giver: Memory, taker: Memory) -> Received:
    """Hand over all that one knows."""
    got = taker.receive(giver.changes())
    assert not got.refused and not got.waiting
    return got


def exchange(*memories: Memory) -> None:
    """Everybody gets everything; all end the same."""
    for giver in memories:
        for taker in memories:
            if taker is not giver:
                tell(giver, taker)
    assert len({memory.digest() for memory in memories}) == 1


class Unwilling:
    """A store that refuses appends while `full` is set; otherwise a MemoryStore."""

    def __init__(self) -> None:
        self.full = False
        self._kept = MemoryStore()

    def open(self, namespace: Namespace) -> Log:
        return _UnwillingLog(self, self._kept.open(namespace))

    def close(self) -> None:
        self._kept.close()


class _UnwillingLog:
    def __init__(self, store: Unwilling, kept: Log) -> None:
        self._store = store
        self._kept = kept

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kept, name)

    def append(self, records: list[Record]) -> None:
        if self._store.full:
            raise StoreError("the disk is full")
        self._kept.append(records)
