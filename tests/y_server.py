"""A server that speaks the protocol of y-websocket, or that of hocuspocus, so that no other need be installed.

    python -m tests.y_server DIALECT [FILE]

It hands on what it gets to everybody, and, given a file, appends it there before it does.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from pycrdt import Doc, create_sync_message, create_update_message, handle_sync_message
from websockets.asyncio.server import ServerConnection, broadcast, serve


def main(dialect: str, path: Path | None) -> None:
    """Serve one document until killed."""
    doc: Any = Doc()
    if path is not None and path.exists():
        for line in path.read_text().splitlines():
            doc.apply_update(bytes.fromhex(line))
    asyncio.run(_serve(doc, b"\4room" if dialect == "hocuspocus" else b"", path))


async def _serve(doc: Any, room: bytes, path: Path | None) -> None:
    people: set[ServerConnection] = set()

    def tell(event: Any) -> None:
        if path is not None:
            with path.open("a") as file:
                file.write(event.update.hex() + "\n")
        broadcast(people, room + create_update_message(event.update))

    held = doc.observe(tell)

    async def handle(connection: ServerConnection) -> None:
        if not room:
            await connection.send(create_sync_message(doc))
        people.add(connection)
        async for data in connection:
            assert isinstance(data, bytes) and data.startswith(room)
            message = data.removeprefix(room)
            if message[:1] == b"\2":  # a token
                await connection.send(room + b"\2\2\x0aread-write")
            elif message[:1] == b"\0" and (answer := handle_sync_message(message[1:], doc)) is not None:
                await connection.send(room + answer)
        people.discard(connection)

    async with serve(handle, "127.0.0.1", 0, compression=None) as server:
        print(f"running on port {next(iter(server.sockets)).getsockname()[1]}", flush=True)
        await asyncio.Future()
    doc.unobserve(held)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]) if len(sys.argv) > 2 else None)
