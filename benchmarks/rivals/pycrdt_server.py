"""A server of pycrdt-websocket over the websockets package, without compression: the quickest way found to run it.

It runs in an environment of its own, so it imports nothing of crdtmem.
"""

import asyncio
from typing import Any

from pycrdt.websocket import WebsocketServer
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed


class Channel:
    """A connection as pycrdt-websocket wants it."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection
        self.path = connection.request.path if connection.request else "/"

    def __aiter__(self) -> "Channel":
        return self

    async def __anext__(self) -> bytes:
        return await self.recv()

    async def send(self, message: bytes) -> None:
        await self._connection.send(message)

    async def recv(self) -> Any:
        try:
            return await self._connection.recv()
        except ConnectionClosed:
            raise StopAsyncIteration from None


async def main() -> None:
    async with WebsocketServer() as rooms:

        async def handle(connection: ServerConnection) -> None:
            await rooms.serve(Channel(connection))  # type: ignore[arg-type]

        async with serve(handle, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
            print(f"running on port {next(iter(server.sockets)).getsockname()[1]}", flush=True)
            await asyncio.Future()


if __name__ == "__main__":
    asyncio.run(main())
