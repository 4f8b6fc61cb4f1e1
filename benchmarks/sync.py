"""How soon a write is at the other end, how long catching up takes, and what two cost that have nothing to say.

Each end is a process of its own that keeps its memory in a file; both look at the one monotonic clock of the machine.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from benchmarks.apart import Apart, spent, told
from benchmarks.effort import Effort
from benchmarks.harness import Figure
from benchmarks.relay import WHY, line, paced
from benchmarks.rows import Row, short
from benchmarks.targets import ECHO
from crdtmem import Identity, Memory, Namespace, Peer, Replica
from crdtmem.feed import Feed

ALIKE = {
    "payload": "a text of 60 bytes, put under a key with a reason; the echo sends as many bytes as such a change has",
    "durability": "both ends commit to a file with synchronous=NORMAL, every change sealed and verified",
    "processes": "2, connected by a websocket",
}
SPACE = Namespace(tenant="acme", task="benchmark")
ANN = Identity(b"a" * 32)
PACE = 200.0  # writes a second
ECHOED = 230  # bytes
FULL_CAUGHT_UP = 50_000
_SETTLE, _IDLE = 3.0, 10.0  # seconds until a pair has nothing to say, and that it is watched then


def rows(effort: Effort) -> Iterator[Row]:
    """All rows, in the order of the table."""
    with TemporaryDirectory(prefix="benchmark-", dir=effort.folder) as folder:
        yield from _latency(effort, Path(folder))
        yield from _catching_up(effort, Path(folder))
        yield from _idle(effort, Path(folder))


# -- the two ends ----------------------------------------------------------------------------------


def listens(end: Connection, path: str) -> None:
    """The end that listens, and writes when told to: how often and how fast. It says when each write began."""

    async def work(memory: Memory) -> None:
        records = memory.records("facts")
        records.put("begun", "first")
        async with Peer(memory, listen="127.0.0.1:0") as peer:
            end.send(peer.url)
            while (asked := await asyncio.to_thread(told, end)) is not None:
                began: list[int] = []

                def write(number: int, began: list[int] = began) -> None:
                    began.append(time.monotonic_ns())
                    records.put(f"fact {number % 100}", line(number), why=WHY)

                await paced(*asked, write)
                end.send(began)

    with Replica("ann", store=path, identity=ANN) as replica:
        asyncio.run(work(replica.open(SPACE)))


def dials(end: Connection, path: str, url: str, expected: int, trust: tuple[bytes, ...] = ()) -> None:
    """The other end; says when it has so many changes, and when each of the last was applied, so stored, here."""

    async def work(memory: Memory) -> None:
        feed = Feed(memory)
        seen: list[int] = []
        full = asyncio.Event()
        loop = asyncio.get_running_loop()

        def woken() -> None:  # under the lock, after what came was committed and applied
            now = time.monotonic_ns()
            log = memory._document.log
            seen.extend([now] * (log.newest - len(seen)))
            if len(seen) >= expected:
                loop.call_soon(full.set)

        stop = feed.watch(woken)
        started = time.monotonic_ns()
        async with Peer(memory, dial=url, trust=trust) as peer:
            await peer.synced(timeout=120)
            end.send("ready")
            await full.wait()
            end.send((started, seen))
            await asyncio.to_thread(told, end)
        stop()

    with Replica("bob", store=path) as replica:
        asyncio.run(work(replica.open(SPACE)))


def echoes(end: Connection) -> None:
    """A websocket server that sends back whatever comes."""

    async def handle(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    async def work() -> None:
        async with serve(handle, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
            end.send(f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}")
            await asyncio.to_thread(told, end)

    asyncio.run(work())


def asks(end: Connection, url: str, count: int) -> None:
    """Its client; says how many nanoseconds there and back took."""

    async def work() -> None:
        taken: list[int] = []
        async with connect(url, compression=None, proxy=None, ping_interval=None) as connection:
            loop = asyncio.get_running_loop()
            due = loop.time()
            for _ in range(count):
                due = max(due + 1 / PACE, loop.time() - 1 / PACE)
                await asyncio.sleep(due - loop.time())
                began = time.monotonic_ns()
                await connection.send(bytes(ECHOED))
                await connection.recv()
                taken.append(time.monotonic_ns() - began)
        end.send(taken)

    asyncio.run(work())


# -- how soon --------------------------------------------------------------------------------------


def _latency(effort: Effort, folder: Path) -> Iterator[Row]:
    halves: list[float] = []
    middle: list[float] = []
    slow: list[float] = []
    slow_echo: list[float] = []
    for number in range(max(effort.rounds // 3, 1)):
        echoed = _echoed(effort.paced)
        halves.append(median(echoed) / 2)
        slow_echo.append(_ninety_ninth(echoed) / 2)
        taken = _taken(effort.paced, folder / f"a-{number}.db", folder / f"b-{number}.db")
        middle.append(median(taken))
        slow.append(_ninety_ninth(taken))
    half = Figure(tuple(one / 1000 for one in halves))
    for name, found in (("median", middle), ("99th percentile", slow)):
        ours = Figure(tuple(one / 1000 for one in found))
        sides = {"crdtmem": ours, "half an echo": half}
        note = f"{PACE:g} writes a second"
        if found is slow:
            note = f"beside the median of the echo, whose own 99th percentile is {short(median(slow_echo) / 1000)} us"
        yield Row(f"write to visible and stored there, {name}", ECHO, ours.over(half), sides, note)


def _echoed(count: int) -> list[int]:
    with Apart(echoes) as server, Apart(asks, server.hear(), count) as client:
        return list(client.hear())[count // 10 :]


def _taken(count: int, here: Path, there: Path) -> list[int]:
    with ExitStack() as running:
        one = running.enter_context(Apart(listens, str(here)))
        other = running.enter_context(Apart(dials, str(there), one.hear(), count + 1))
        other.hear()
        began = one.ask((count, PACE))
        _, seen = other.hear()
        return [there - here for here, there in zip(began, seen[1:], strict=True)][count // 10 :]


def _ninety_ninth(taken: list[int]) -> int:
    return sorted(taken)[int(0.99 * len(taken))]


# -- catching up -----------------------------------------------------------------------------------


def _catching_up(effort: Effort, folder: Path) -> Iterator[Row]:
    path = folder / "long.db"
    with Replica("ann", store=path, identity=ANN) as replica:
        records = replica.open(SPACE).records("facts")
        for number in range(effort.caught_up - 1):
            records.put(f"fact {number}", line(number), why=WHY)
    taken: dict[str, list[float]] = {"by changes": [], "by checkpoint": []}
    for number in range(max(effort.rounds // 5, 1)):
        for how, rounds in taken.items():
            with ExitStack() as running:
                one = running.enter_context(Apart(listens, str(path)))
                newcomer, trust = folder / f"new-{how[3:]}-{number}.db", (ANN.key,) if how == "by checkpoint" else ()
                other = running.enter_context(Apart(dials, str(newcomer), one.hear(), effort.caught_up, trust))
                other.hear()
                started, seen = other.hear()
                rounds.append((seen[effort.caught_up - 1] - started) / 1e9)
    note = f"{effort.caught_up:,} changes by one author, from before dialling"
    reduced = effort.caught_up < FULL_CAUGHT_UP
    for how, rounds in taken.items():
        yield Row(f"catching up, {how}", "s", Figure(tuple(rounds)), note=note, reduced=reduced)


# -- nothing to say --------------------------------------------------------------------------------


def _idle(effort: Effort, folder: Path) -> Iterator[Row]:
    seconds = _IDLE if effort.rounds > 5 else _IDLE / 5
    rounds = []
    with ExitStack() as running:
        one = running.enter_context(Apart(listens, str(folder / "idle-a.db")))
        other = running.enter_context(Apart(dials, str(folder / "idle-b.db"), one.hear(), 1 << 60))
        other.hear()
        time.sleep(_SETTLE)
        for _ in range(3):
            before = spent(one.pid) + spent(other.pid)
            time.sleep(seconds)
            rounds.append((spent(one.pid) + spent(other.pid) - before) / seconds / 1e7)
    yield Row("an idle pair", "% of a core", Figure(tuple(rounds)), note="both ends together")
