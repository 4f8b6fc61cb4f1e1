"""The network between the agents: a TCP proxy of our own, with one cable between any two, which can be unplugged.

Who is unplugged loses the connection at once, and whoever dials is turned away, until the cable is plugged in again.
It takes no privileges, and the agents know nothing of it: they dial an address and it does not answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from itertools import combinations

PIECE = 64 * 1024


class Cable:
    """What lies between one who dials and one who listens."""

    def __init__(self) -> None:
        self.port = 0
        self.leads_to: int | None = None  # the port of who listens
        self.plugged = True
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Take a free port."""
        self._server = await asyncio.start_server(self._enter, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Give it back."""
        self.unplug()
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def unplug(self) -> None:
        """End all connections, and let none through."""
        self.plugged = False
        for writer in self._writers:
            writer.transport.abort()

    async def _enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with suppress(OSError, asyncio.CancelledError):
            await self._connect(reader, writer)
        writer.transport.abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.leads_to is None or not self.plugged:
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.leads_to)
        ends = {writer, far_writer}
        self._writers |= ends
        try:
            if self.plugged:  # it may have been pulled out meanwhile
                await asyncio.gather(_carry(reader, far_writer), _carry(far_reader, writer))
        finally:
            self._writers -= ends
            far_writer.transport.abort()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(PIECE):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


class Cables:
    """One cable between any two of those named; the later name dials the earlier one."""

    def __init__(self, names: Iterable[str]) -> None:
        self._between = {pair: Cable() for pair in combinations(names, 2)}

    async def open(self) -> None:
        """Take a port for each."""
        for cable in self._between.values():
            await cable.open()

    async def close(self) -> None:
        """Take all of it down."""
        for cable in self._between.values():
            await cable.close()

    def to_dial(self, name: str) -> list[str]:
        """The addresses that one of them dials."""
        return [f"ws://127.0.0.1:{cable.port}" for (_, late), cable in self._between.items() if late == name]

    def lead_to(self, name: str, port: int | None) -> None:
        """Say at which port one of them listens now; None when it does not."""
        for (early, _), cable in self._between.items():
            if early == name:
                cable.leads_to = port

    def cut(self, side: Iterable[str]) -> None:
        """Unplug every cable between one side and the rest."""
        apart = set(side)
        for pair, cable in self._between.items():
            if len(apart.intersection(pair)) == 1:
                cable.unplug()

    def heal(self) -> None:
        """Plug everything in again."""
        for cable in self._between.values():
            cable.plugged = True

    def reach(self, name: str) -> set[str]:
        """Whom one of them is joined to by a cable that is plugged in."""
        return {
            other
            for pair, cable in self._between.items()
            if name in pair and cable.plugged
            for other in pair
            if other != name
        }
