"""A relay in a process of its own, which keeps its memories in a file; and who writes to it, or to another server."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from typing import Any

from pycrdt import Array, Doc

from benchmarks.apart import told
from benchmarks.crowd import UPDATE, Dialect, YReader
from crdtmem import Memory, Namespace, Peer, Replica
from crdtmem.sync.relay import Relay

WHY = "said in the meeting"


def relay(end: Connection, path: str) -> None:
    """Serve whoever comes; says where."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    async def serve() -> None:
        async with Relay(path, listen="127.0.0.1:0") as relay:
            end.send(relay.url)
            await asyncio.to_thread(_over, end)

    asyncio.run(serve())


def _over(end: Connection) -> None:
    try:
        end.recv()
    except (EOFError, OSError):
        return


def line(number: int) -> str:
    """What is written: a text of 60 bytes."""
    return f"finding {number:>8}: churn rose in the north, source is the crm"


async def paced(count: int, pace: float | None, write: Callable[[int], object]) -> None:
    """Write so often, so many times a second; or at once. A writer that was late does not hurry."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    for number in range(count):
        if pace is not None:
            due = max(due + 1 / pace, loop.time() - 1 / pace)
            await asyncio.sleep(due - loop.time())
        write(number)


def writer(end: Connection, url: str, namespace: Namespace) -> None:
    """A peer of ours; told how often to write and how fast, it does."""

    async def work(memory: Memory) -> None:
        log = memory.sequence("log")
        log.append("begun")
        async with Peer(memory, dial=url) as peer:
            await peer.synced(timeout=30)
            await _obey(end, lambda number: log.append(line(number)))

    asyncio.run(work(Replica("writer").open(namespace)))


def y_writer(end: Connection, url: str, dialect: Dialect) -> None:
    """A client of the others, in the same way."""
    writes = YWriter(url, dialect)
    asyncio.run(_obey(end, writes.write))


class YWriter:
    """One who writes to a document of theirs."""

    def __init__(self, url: str, dialect: Dialect) -> None:
        self._room = YReader(url, dialect)
        self._room.greet()
        self._room.wait()
        self._doc: Any = Doc()
        self._log: Any = Array()
        self._doc["log"] = self._log
        self._held = self._doc.observe(self._send)
        self._log.append("begun")

    def _send(self, event: Any) -> None:
        update = event.update
        size = len(update)
        assert size < 1 << 14
        prefix = bytes([size]) if size < 128 else bytes([size & 127 | 128, size >> 7])
        self._room.say(UPDATE + prefix + update)

    def write(self, number: int) -> None:
        """Append one line, and take what the server has to say meanwhile."""
        self._log.append(line(number))
        self._room.wire.take()

    def close(self) -> None:
        """Hang up."""
        self._room.close()


async def _obey(end: Connection, write: Callable[[int], object]) -> None:
    end.send("ready")
    while True:
        count, pace = await _asked(end)
        await paced(count, pace, write)
        end.send("done")


def _asked(end: Connection) -> Awaitable[tuple[int, float | None]]:
    return asyncio.to_thread(told, end)
