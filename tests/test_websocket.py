"""Messages over real sockets arrive whole, however they are cut, and whoever does not read is not heard for ever."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from random import Random
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.frames import Frame, Opcode

import crdtmem.sync.websocket
from crdtmem import Peer, Replica
from crdtmem.sync.frames import Have, Hello, Open, Ping, Pong, Welcome, decode, encode
from crdtmem.sync.websocket import Socket, Unreachable, dialled, listening
from tests.crew import SCOPE

LONG = 30.0  # seconds: only a failure takes them
HELLO = encode(Hello(1, 0, b"x" * 16, "stranger"))


@asynccontextmanager
async def echo(taken: list[list[bytes]]) -> AsyncIterator[str]:
    """A server that notes what is taken in at once, and sends it back."""

    async def serve(socket: Socket) -> None:
        def take(messages: list[bytes]) -> None:
            taken.append(messages)
            for message in messages:
                socket.send(message)

        await socket.run(take, lambda: None)
        await socket.close()

    server, url = await listening("127.0.0.1", 0, None, serve, lambda path: None)
    try:
        yield url
    finally:
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize("seed", range(5))
def test_messages_arrive_whole_and_in_turn_however_they_are_cut(seed: int) -> None:
    """Into frames by who sends them, and anywhere by the network; pings come in between."""
    rng = Random(seed)
    messages = [rng.randbytes(rng.choice((0, 1, 125, 126, 3000, 70_000))) for _ in range(20)]
    stream = b""
    for message in messages:
        cuts = sorted(rng.randrange(len(message) + 1) for _ in range(rng.choice((0, 0, 1, 3))))
        pieces = [message[a:b] for a, b in zip([0, *cuts], [*cuts, len(message)], strict=True)]
        for number, piece in enumerate(pieces):
            kind = Opcode.CONT if number else Opcode.BINARY
            stream += Frame(kind, piece, fin=number == len(pieces) - 1).serialize(mask=True)
            if rng.random() < 0.3:
                stream += Frame(Opcode.PING, b"there?").serialize(mask=True)

    async def main() -> None:
        taken: list[list[bytes]] = []
        async with echo(taken) as url, connect(url, compression=None) as client:
            while stream_left:
                size = rng.choice((1, 2, 10, 1000, 100_000))
                client.transport.write(bytes(stream_left[:size]))
                del stream_left[:size]
                if rng.random() < 0.2:
                    await asyncio.sleep(0)
            back = [await asyncio.wait_for(client.recv(), LONG) for _ in messages]
            assert back == messages == [message for some in taken for message in some]

    stream_left = bytearray(stream)
    asyncio.run(main())


def test_what_comes_before_anybody_listens_is_taken_first() -> None:
    """The first message in one packet with the request that opens the connection."""

    async def main() -> None:
        async with Peer(Replica("ann").open(SCOPE), listen="127.0.0.1:0") as peer:
            host, port = peer.url.removeprefix("ws://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            request = (
                f"GET / HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
            writer.write(request.encode() + Frame(Opcode.BINARY, HELLO).serialize(mask=True))
            await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), LONG)
            head = await asyncio.wait_for(reader.readexactly(2), LONG)
            assert isinstance(decode(await reader.readexactly(head[1])), Welcome)
            writer.write(Frame(Opcode.BINARY, encode(Ping())).serialize(mask=True))
            while True:
                head = await asyncio.wait_for(reader.readexactly(2), LONG)
                if decode(await reader.readexactly(head[1])) == Pong():
                    break
            writer.close()

    asyncio.run(main())


def test_who_asks_and_never_reads_the_answers_is_not_heard_until_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 600
    rest = Socket.rest

    async def main() -> None:
        deaf: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def noted(socket: Socket, seconds: float) -> None:
            rest(socket, seconds)
            if not socket._connection.transport.is_reading() and not deaf.done():
                deaf.set_result(socket._connection.transport)

        monkeypatch.setattr(Socket, "rest", noted)
        ann = Replica("ann").open(SCOPE)
        for number in range(100):
            other = Replica(f"agent {number}").open(SCOPE)
            other.set("s").add(number)
            ann.receive(other.changes())
        async with Peer(ann, listen="127.0.0.1:0") as peer:
            host, port = peer.url.removeprefix("ws://").split(":")
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.connect((host, int(port)))
            async with connect(peer.url, sock=sock, compression=None, max_queue=1) as stranger, asyncio.timeout(LONG):
                asking = asyncio.create_task(ask(stranger))
                transport = await deaf
                assert 1 << 20 < transport.get_write_buffer_size() < 2 << 20
                answers = 0
                while answers < asked:
                    answers += isinstance(decode(await stranger.recv()), Have)  # type: ignore[arg-type]
                await asking
                assert transport.is_reading()

    async def ask(stranger: ClientConnection) -> None:
        await stranger.send(HELLO)
        for _ in range(asked):
            await stranger.send(encode(Open(0, ["acme", "test"], bytes(16))))

    asyncio.run(main())


def test_who_pings_and_never_reads_the_answers_is_not_heard_until_it_does() -> None:
    """Though it has said nothing yet, and what it says is no message."""
    pings = Frame(Opcode.PING, b"x" * 125).serialize(mask=True) * 1000

    async def main() -> None:
        served: asyncio.Future[Socket] = asyncio.get_running_loop().create_future()

        async def serve(socket: Socket) -> None:
            served.set_result(socket)
            await socket.run(lambda messages: None, lambda: None)

        server, url = await listening("127.0.0.1", 0, None, serve, lambda path: None)
        host, port = url.removeprefix("ws://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            f"GET / HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), LONG)
        connection = (await served)._connection
        asked = 0
        while connection.transport.is_reading() and asked < 200:  # 25 MB
            connection.data_received(pings)
            asked += 1
        assert asked < 200 and connection.transport.get_write_buffer_size() < 2 << 20
        await asyncio.wait_for(reader.readexactly(asked * 1000 * 127), LONG)
        assert connection.transport.is_reading()
        writer.close()
        server.close()
        await server.wait_closed()

    asyncio.run(main())


def test_strangers_keep_nobody_out_who_may_enter_and_hold_up_no_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(crdtmem.sync.websocket, "STRANGERS", 4)
    monkeypatch.setattr(crdtmem.sync.websocket, "GREETING", 0.0)

    async def main() -> None:
        ann, bob = (Replica(name).open(SCOPE) for name in ("ann", "bob"))
        peer = await Peer(ann, listen="127.0.0.1:0").__aenter__()
        host, port = peer.url.removeprefix("ws://").split(":")
        async with Peer(bob, dial=peer.url) as member:
            await member.synced(timeout=LONG)
            silent = [await asyncio.open_connection(host, int(port)) for _ in range(10)]
            for _, writer in silent:
                writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n")
            for reader, _ in silent[:6]:  # the oldest make room, and the others stay
                with suppress(ConnectionError):
                    assert await asyncio.wait_for(reader.read(), LONG) == b""
            assert not any(reader.at_eof() for reader, _ in silent[6:])
            bob.set("s").add(1)
            await member.synced(timeout=LONG)
            async with asyncio.timeout(5):  # half of what is left to a handshake
                await peer.close()
        for _, writer in silent:
            writer.close()

    asyncio.run(main())
    assert not [record for record in caplog.records if record.levelno > 20]


def test_of_many_who_come_at_once_nobody_is_dropped_while_it_says_hello(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crdtmem.sync.websocket, "STRANGERS", 4)
    monkeypatch.setattr(crdtmem.sync.websocket, "GREETING", LONG)

    async def main() -> None:
        news: list[str] = []
        async with Peer(Replica("ann").open(SCOPE), listen="127.0.0.1:0") as peer, AsyncExitStack() as stack:
            peer.watch(lambda one: news.append(one.kind))
            crowd = [Peer(Replica(f"a{n}").open(SCOPE), dial=peer.url) for n in range(20)]
            await asyncio.gather(*[stack.enter_async_context(one) for one in crowd])
            await peer.synced(peers=20, timeout=LONG)
            assert "left" not in news

    asyncio.run(main())


def test_a_connection_ends_when_the_other_side_does_and_when_this_one_does() -> None:
    async def main() -> None:
        taken: list[list[bytes]] = []
        async with echo(taken) as url:
            socket = await dialled(url, None)
            running = asyncio.create_task(socket.run(lambda messages: socket.end(), lambda: None))
            socket.send(b"one")
            await asyncio.wait_for(running, LONG)  # ended when the answer was taken
            await socket.close()
            await asyncio.wait_for(socket.run(lambda messages: None, lambda: None), LONG)  # it has ended before
            async with connect(url, compression=None) as client:
                await client.send(b"two")
                await client.recv()
            assert taken == [[b"one"], [b"two"]]
        with pytest.raises(Unreachable):
            await dialled(url, None)

    asyncio.run(main())


@pytest.mark.parametrize("dials", [True, False])
def test_what_is_written_to_a_connection_that_has_just_broken_is_forgotten_in_silence(
    *, dials: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        served: asyncio.Future[Socket] = asyncio.get_running_loop().create_future()

        async def serve(socket: Socket) -> None:
            served.set_result(socket)
            await socket.run(lambda messages: None, lambda: None)

        server, url = await listening("127.0.0.1", 0, None, serve, lambda path: None)
        client = await dialled(url, None)
        broken, other = (client, await served) if dials else (await served, client)
        broken._connection.transport.abort()
        for _ in range(10):
            broken.send(b"news")
        await broken.close()
        await other.close()
        server.close()
        await server.wait_closed()

    asyncio.run(main())
    assert not caplog.records
