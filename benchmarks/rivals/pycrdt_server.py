"""A server of pycrdt-websocket over the websockets package, without compression: the quickest way found to run it.

Given the path of a file, it keeps its documents there, in a SQLiteYStore: a room is ready once its document has been
read. It runs in an environment of its own, so it imports nothing of crdtmem.
"""

import asyncio
import sys
from contextlib import suppress
from typing import Any

from pycrdt.store import SQLiteYStore, YDocNotFound
from pycrdt.websocket import WebsocketServer, YRoom
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


class Rooms(WebsocketServer):
    """Rooms whose documents are kept in a file."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._store = type("Store", (SQLiteYStore,), {"db_path": path})
        self._opening = asyncio.Lock()

    async def get_room(self, name: str) -> YRoom:
        async with self._opening:
            if name not in self.rooms:
                room = self.rooms[name] = YRoom(ready=False, ystore=self._store(path=name))
                await self.start_room(room)
                await room.ystore.started.wait()
                with suppress(YDocNotFound):
                    await room.ystore.apply_updates(room.ydoc)
                room.ready = True
            return self.rooms[name]


async def main() -> None:
    async with Rooms(sys.argv[1]) if len(sys.argv) > 1 else WebsocketServer() as rooms:

        async def handle(connection: ServerConnection) -> None:
            await rooms.serve(Channel(connection))  # type: ignore[arg-type]

        async with serve(handle, "127.0.0.1", 0, compression=None, ping_interval=None) as server:
            print(f"running on port {next(iter(server.sockets)).getsockname()[1]}", flush=True)
            await asyncio.Future()


if __name__ == "__main__":
    asyncio.run(main())
