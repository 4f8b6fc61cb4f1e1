"""A network of our own in user space: what a dialler and a listener say passes here, and suffers here.

A link is one address to dial. Each of its two ways has its own weather: delay, jitter, throttle, and a hole in which
everything waits. Connections on it can be reset, ended, or ended in one way only, or for one of the two alone.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from random import Random

PIECE = 16 * 1024
UNDER_WAY = 64  # pieces on a connection in each way; beyond that its sender must wait


class Way:
    """One direction of a link."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self.passes = asyncio.Event()
        self.clear()

    def clear(self) -> None:
        """Good weather."""
        self.delay = self.jitter = 0.0  # seconds
        self.rate = 0.0  # bytes a second; 0: as fast as it goes
        self.passes.set()

    def late(self) -> float:
        """How much later the next piece arrives."""
        return self.delay + self._rng.random() * self.jitter


class Link:
    """An address to dial, and all connections over it.

    Args:
        rng: of its jitter.
    """

    def __init__(self, rng: Random) -> None:
        self.there, self.back = Way(rng), Way(rng)
        self.target: int | None = None  # the port of who listens; None: nobody does
        self.port = 0
        self._wires: set[_Wire] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """What to dial."""
        return f"ws://127.0.0.1:{self.port}"

    @property
    def ways(self) -> tuple[Way, Way]:
        """Both directions."""
        return self.there, self.back

    async def open(self) -> None:
        """Take a port."""
        self._server = await asyncio.start_server(self._enter, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Give it back."""
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            if self.target is None:
                raise ConnectionRefusedError
            far = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            _reset(writer)
            return
        wire = _Wire((reader, writer), far)
        self._wires.add(wire)
        try:
            await wire.carry(self.there, self.back)
        except asyncio.CancelledError:
            pass  # the network is taken down
        finally:
            self._wires.discard(wire)
            wire.reset()

    # -- what can befall its connections -----------------------------------------------------------

    def reset(self) -> None:
        """Both ends are told at once that it is over, and what was under way is lost."""
        for wire in self._wires:
            wire.reset()

    def finish(self) -> None:
        """Both ends are told that the other has nothing more to say."""
        for wire in self._wires:
            wire.finish(0)
            wire.finish(1)

    def half_close(self, end: int) -> None:
        """One end is told so: 0 is who dialled, 1 who listens."""
        for wire in self._wires:
            wire.finish(end)

    def half_open(self, end: int) -> None:
        """One end is told that it is over, the other nothing until `reset`."""
        for wire in self._wires:
            wire.abandon(end)


class _Wire:
    """One connection: two sockets, and what is carried from each to the other."""

    def __init__(
        self,
        near: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        far: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self._readers = near[0], far[0]
        self._writers = near[1], far[1]
        self._ended = [False, False]  # whom it was told
        self._abandoned = asyncio.Event()
        self._abandoned.set()
        self._carriers: list[asyncio.Task[None]] = []

    async def carry(self, there: Way, back: Way) -> None:
        """Carry in both ways until one breaks or both have ended."""
        self._carriers = [asyncio.create_task(self._carry(end, way)) for end, way in ((1, there), (0, back))]
        try:
            await asyncio.gather(*self._carriers)
        except OSError:
            await self._abandoned.wait()
        finally:
            for carrier in self._carriers:
                carrier.cancel()
            await asyncio.gather(*self._carriers, return_exceptions=True)

    async def _carry(self, end: int, way: Way) -> None:
        """Bring to one end what the other says."""
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[tuple[float, bytes | None]] = asyncio.Queue(UNDER_WAY)

        async def read() -> None:
            data: bytes | None = b"..."
            while data:
                try:
                    data = await self._readers[1 - end].read(PIECE)
                except OSError:
                    data = None  # it was reset
                await pieces.put((loop.time() + way.late(), data))

        reading = asyncio.create_task(read())
        try:
            while True:
                due, data = await pieces.get()
                await asyncio.sleep(due - loop.time())
                await way.passes.wait()
                await self._abandoned.wait()
                if data is None:
                    raise ConnectionResetError
                if not data:
                    self.finish(end)
                    return
                if not self._ended[end]:
                    self._writers[end].write(data)
                    await self._writers[end].drain()
                if way.rate:
                    await asyncio.sleep(len(data) / way.rate)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    def finish(self, end: int) -> None:
        """Tell one end that nothing more will come."""
        if not self._ended[end]:
            self._ended[end] = True
            with suppress(OSError):
                self._writers[end].write_eof()

    def abandon(self, end: int) -> None:
        """Reset one end; the other is not told."""
        self._abandoned.clear()
        self._ended[end] = True
        _reset(self._writers[end])

    def reset(self) -> None:
        """Reset both ends."""
        self._abandoned.set()
        for writer in self._writers:
            _reset(writer)


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with a reset instead of in order."""
    with suppress(OSError):
        found = writer.get_extra_info("socket")
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
