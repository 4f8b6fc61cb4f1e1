"""What a write is worth that a server has handed on: it is killed, starts again, and a newcomer counts what is there.

Nobody who was there comes back: a client of any of these servers would bring what it still holds.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NamedTuple

from benchmarks.crowd import Dialect
from benchmarks.mirror import YMirror, first_sync
from benchmarks.relay import YWriter, line, paced
from benchmarks.stage import Server, served
from crdtmem import Namespace, Peer, Replica

_PATIENCE = 30.0  # seconds: only a failure takes them


class Kept(NamedTuple):
    """How many lines were handed on before the end, and how many of them were there after it."""

    handed: int
    there: int

    @property
    def share(self) -> float:
        """In per cent.

        >>> Kept(handed=200, there=150).share
        75.0
        """
        return 100 * min(self.there, self.handed) / self.handed


def kept(name: str, store: Path | None, writes: int, pace: float) -> Kept:
    """Write at a steady pace, kill the server as soon as all was handed on, start it again, and count.

    Args:
        name: of the server.
        store: where it keeps documents, or None.
        writes: how many.
        pace: how many a second.
    """
    with ExitStack() as running:
        server = served(running, name, store)
        press = _pressed_ours if isinstance(server.speech, Namespace) else _pressed_theirs
        handed = asyncio.run(press(server, writes, pace))
    with ExitStack() as running:
        server = served(running, name, store)
        there, _ = first_sync(server.url, server.speech, handed)
    return Kept(handed, there)


async def _pressed_ours(server: Server, writes: int, pace: float) -> int:
    assert isinstance(server.speech, Namespace)
    ann, bob = (Replica(name).open(server.speech) for name in ("ann", "bob"))
    said, heard = ann.sequence("log"), bob.sequence("log")
    async with Peer(ann, dial=server.url) as one, Peer(bob, dial=server.url):
        await one.synced(timeout=_PATIENCE)
        await paced(writes, pace, lambda number: said.append(line(number)))
        await asyncio.to_thread(bob.wait, ann.version, _PATIENCE)
        os.kill(server.pid, signal.SIGKILL)
        return len(heard)


async def _pressed_theirs(server: Server, writes: int, pace: float) -> int:
    assert isinstance(server.speech, Dialect)
    with (
        closing(YWriter(server.url, server.speech)) as writer,
        closing(YMirror(server.url, server.speech)) as mirror,
    ):

        def write(number: int) -> None:
            writer.write(number)
            mirror.take()

        await paced(writes, pace, write)
        handed = mirror.await_lines(writes + 1, _PATIENCE)  # with the line the writer began with
        os.kill(server.pid, signal.SIGKILL)
        if handed <= writes:
            raise TimeoutError(f"{server.url} handed on {handed:,} lines of {writes + 1:,}")
        return handed
