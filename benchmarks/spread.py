"""What it costs that many agents share a memory, and that a replica has many memories: each at one size."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from time import thread_time_ns

from benchmarks.apart import Apart, spent, told
from benchmarks.stage import OURS, SPACE, gathered, served
from crdtmem import Memory, Namespace, Peer, Replica

Costs = dict[str, tuple[str, float]]  # what was done: a unit, and how much
PACE = 100.0  # writes a second
WRITES = 100
_PATIENCE = 60.0  # seconds: only a failure takes them


def agents(size: int, rounds: int, folder: Path) -> Costs:
    """What so many agents cost who write to one memory at the same time, or listen to one who writes."""
    apart = [_concurrent(size, _put) for _ in range(rounds)]
    together = [_concurrent(size, _insert_in_front) for _ in range(rounds)]
    received, written = (median(found) for found in zip(*apart, strict=True))
    return {
        "receive what all wrote at once": ("us a change", received),
        "receive what all put in one place": ("us a change", median(found for found, _ in together)),
        "the first write after it": ("us a write", written),
        "relay, one change to all": ("us a change", median(_handed_on(size, folder) for _ in range(rounds))),
    }


def _put(memory: Memory, number: int) -> None:
    memory.records("facts").put(f"key {number}", "value")


def _insert_in_front(memory: Memory, number: int) -> None:
    memory.sequence("log").insert(0, number)


def _concurrent(size: int, write: Callable[[Memory, int], None]) -> tuple[float, float]:
    crew = [Replica(f"agent-{number}").open(SPACE) for number in range(size + 1)]
    reader = crew.pop()
    changes: list[bytes] = []
    for number, memory in enumerate(crew):
        write(memory, number)
        changes += memory.changes()
    began = thread_time_ns()
    assert reader.receive(changes).applied == size
    received = thread_time_ns()
    reader.set("said").add("something")
    done = thread_time_ns()
    return (received - began) / size / 1000, (done - received) / 1000


def _handed_on(size: int, folder: Path) -> float:
    with ExitStack() as running:
        server = served(running, OURS, folder / f"relay-{time.monotonic_ns()}.db")
        source, crowd = gathered(running, server, size)
        before = spent(server.pid)
        crowd.tell(WRITES * size)
        source.tell((WRITES, PACE))
        crowd.hear()
        return (spent(server.pid) - before) / WRITES / 1000


def namespaces(size: int, rounds: int, folder: Path) -> Costs:
    """What it costs to work in one memory, or to share it, when so many are open."""
    path = folder / f"spaces-{size}.db"
    spaces = [Namespace(tenant="acme", task=f"task-{number}") for number in range(size)]
    with Replica("ann", store=path) as replica:
        memories = [replica.open(space) for space in spaces]
        written = [_in_turn(memories) for _ in range(rounds + 1)][1:]
    opened = [_opened(path, spaces) for _ in range(rounds)]
    shared = [_shared(size, folder) for _ in range(rounds)]
    return {
        "write to one": ("us a write", median(written)),
        "open each": ("us a memory", median(opened)),
        "one change through a relay": ("us a change", median(shared)),
    }


def _in_turn(memories: list[Memory]) -> float:
    times = max(WRITES, len(memories))
    began = thread_time_ns()
    for number in range(times):
        memories[number % len(memories)].records("facts").put(f"key {number % 10}", "value", why="in turn")
    return (thread_time_ns() - began) / times / 1000


def _opened(path: Path, spaces: list[Namespace]) -> float:
    with Replica("ann", store=path) as replica:
        began = thread_time_ns()
        for space in spaces:
            replica.open(space)
        return (thread_time_ns() - began) / len(spaces) / 1000


def _shared(size: int, folder: Path) -> float:
    with ExitStack() as running:
        server = served(running, OURS, folder / f"relay-{time.monotonic_ns()}.db")
        both = running.enter_context(Apart(sharing, server.url, size))
        both.hear()
        before = spent(server.pid) + spent(both.pid)
        both.ask(WRITES)
        return (spent(server.pid) + spent(both.pid) - before) / WRITES / 1000


def sharing(end: Connection, url: str, size: int) -> None:
    """Two peers that share so many memories; told how often, one writes, and the other has it before the next."""

    async def work() -> None:
        ann, bob = Replica("ann"), Replica("bob")
        spaces = [Namespace(tenant="acme", task=f"task-{number}") for number in range(size)]
        ours, theirs = ([replica.open(space) for space in spaces] for replica in (ann, bob))
        for memory in ours:
            memory.register("status").assign("begun")
        async with Peer(*ours, dial=url) as one, Peer(*theirs, dial=url) as other:
            await one.synced(timeout=_PATIENCE)
            await other.synced(timeout=_PATIENCE)
            end.send("ready")
            writes = await asyncio.to_thread(told, end)
            for number in range(writes):
                ours[number % size].register("status").assign(f"at {number}")
                await asyncio.to_thread(theirs[number % size].wait, ours[number % size].version, _PATIENCE)
            end.send("done")
            await asyncio.to_thread(told, end)

    asyncio.run(work())
