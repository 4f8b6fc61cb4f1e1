"""Messages over websockets: the only file that knows how they travel.

No compression: it costs every connection 40 KiB and lets a few bytes become many. A page in a browser cannot connect:
whoever sends an Origin is turned away. Half-open connections are found by the session, not here.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from functools import partial
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import Server, ServerConnection, broadcast, serve
from websockets.exceptions import WebSocketException
from websockets.frames import DATA_OPCODES, Frame
from websockets.http11 import Request, Response
from websockets.protocol import State

from crdtmem.errors import MisuseError
from crdtmem.sync.frames import MAX_FRAME

HIGH, LOW = 256 * 1024, 64 * 1024  # bytes that wait to be written: above the first nothing is added until the second
PILED = 1 << 20  # bytes of answers that wait to be written
CLOSING = 2.0  # seconds for a connection to end in order
STRANGERS = 256  # connections on which nobody has been let in; of more, those are dropped that should be in by now
GREETING = 2.0  # seconds; whoever may enter takes less, if not thousands come at once

_log = logging.getLogger("crdtmem.websocket")
_log.addFilter(lambda record: record.msg != "opening handshake failed")  # by whoever pleases: each would be a traceback


TO_LISTEN = "ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), with load_cert_chain(), makes one to listen with"
Tls = ssl.SSLContext | Iterable[ssl.SSLContext] | None


class Unreachable(Exception):
    """Nobody answers there, or not as a peer does."""


class _Prompt:
    """Hands over what arrives in the turn of the loop in which it does: no task is woken, which takes two more turns.

    Says when the other side reads too slowly, and when it has caught up.
    """

    clogged = False
    resumed: Callable[[], None] = staticmethod(lambda: None)
    take: Callable[[list[bytes]], None] | None = None
    lost: Callable[[], None] = staticmethod(lambda: None)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.messages: list[bytes] = []  # whole ones, not taken yet
        self._begun = bytearray()  # one that comes in pieces

    def data_received(self, data: bytes) -> None:
        super().data_received(data)  # type: ignore[misc]
        if self.messages:
            self.hand_over()
        if self.transport.get_write_buffer_size() > PILED:  # type: ignore[attr-defined]  # of pings it is not told
            self.transport.pause_reading()  # type: ignore[attr-defined]

    def hand_over(self) -> None:
        """Have what has arrived taken; what comes before there is somebody to take it waits, and no more is read."""
        if self.take is None:
            self.transport.pause_reading()  # type: ignore[attr-defined]
        else:
            messages, self.messages = self.messages, []
            self.take(messages)

    def process_event(self, event: Any) -> None:
        if type(event) is not Frame or event.opcode not in DATA_OPCODES:
            super().process_event(event)  # type: ignore[misc]
        elif event.fin and not self._begun:
            self.messages.append(bytes(event.data))
        else:
            self._begun += event.data
            if event.fin:
                self.messages.append(bytes(self._begun))
                self._begun.clear()

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)  # type: ignore[misc]
        self.lost()

    def pause_writing(self) -> None:
        super().pause_writing()  # type: ignore[misc]
        self.clogged = True

    def resume_writing(self) -> None:
        super().resume_writing()  # type: ignore[misc]
        self.clogged = False
        self.transport.resume_reading()  # type: ignore[attr-defined]
        self.resumed()


class _Client(_Prompt, ClientConnection):
    def put(self, data: bytes) -> None:
        """Write one message; what a client sends is masked, each time anew."""
        if not self.transport.is_closing():  # else asyncio complains of the fifth
            broadcast((self,), data)


class _Served(_Prompt, ServerConnection):
    def __init__(self, strangers: dict[_Served, float], *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.strangers = strangers  # of this listener, the oldest first, and when each came

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.strangers[self] = now = self.loop.time()
        if len(self.strangers) > STRANGERS:
            oldest, since = next(iter(self.strangers.items()))
            if now - since >= GREETING:
                del self.strangers[oldest]
                oldest.transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self.strangers.pop(self, None)

    def put(self, data: bytes) -> None:
        """Write one message. What a server sends is the same bytes for everybody, so they are made once."""
        if self.protocol.state is State.OPEN and not self.transport.is_closing():
            self.transport.write(_framed(data))


_last = (b"", b"\x82\x00")  # what was framed last, and its frame


def _framed(data: bytes) -> bytes:
    """A binary message as a server sends it: one frame, unmasked."""
    global _last
    if data is not _last[0]:
        size = len(data)
        if size < 126:
            head = bytes((0x82, size))
        elif size < 1 << 16:
            head = b"\x82\x7e" + size.to_bytes(2, "big")
        else:
            head = b"\x82\x7f" + size.to_bytes(8, "big")
        _last = data, head + data
    return _last[1]


class Socket:
    """One connection: whole messages, written at once and taken as they come."""

    def __init__(self, connection: _Client | _Served) -> None:
        self._connection = connection
        sock = connection.transport.get_extra_info("socket")  # else the system takes up to 4 MiB for who reads nothing
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, HIGH)
        with suppress(AttributeError):  # a loop of another make reads in its own way
            connection.transport.max_size = LOW  # type: ignore[attr-defined]  # for 256 KiB each read maps memory anew
        self._over = asyncio.Event()
        self.send: Callable[[bytes], None] = connection.put  # one that has ended takes a message and forgets it

    @property
    def room(self) -> int:
        """How many bytes it takes until it is clogged; none when it is."""
        connection = self._connection
        return 0 if connection.clogged else HIGH + 1 - connection.transport.get_write_buffer_size()

    async def run(self, take: Callable[[list[bytes]], None], resumed: Callable[[], None]) -> None:
        """Have all that arrives taken, until the connection ends or `end` is called.

        Args:
            take: called with some whole messages, in turn.
            resumed: called when there is room again.
        """
        connection = self._connection

        connection.resumed, connection.lost = resumed, self._over.set
        if connection.protocol.state is State.CLOSED:
            return
        connection.take = take
        if connection.messages:
            connection.hand_over()
            connection.transport.resume_reading()
        await self._over.wait()

    def rest(self, seconds: float) -> None:
        """Take nothing in for a while; and no longer than that, unless its answers pile up."""
        transport = self._connection.transport
        if seconds > 0:
            transport.pause_reading()
            asyncio.get_running_loop().call_later(seconds, transport.resume_reading)
        elif transport.get_write_buffer_size() > PILED:  # who asks and never reads the answers is not heard
            transport.pause_reading()

    def let_in(self) -> None:
        """Whoever has dialled may enter: it is no stranger."""
        if isinstance(self._connection, _Served):
            self._connection.strangers.pop(self._connection, None)

    def end(self) -> None:
        """Take nothing more."""
        self._connection.take = lambda messages: None
        self._over.set()

    async def close(self) -> None:
        """End it; waits for the other side, but not for long."""
        self.end()
        self._connection.transport.resume_reading()  # its goodbye
        with suppress(AttributeError):  # of asyncio in Python 3.11, when it aborts just after the last byte was written
            await self._connection.close()


def sides(tls: Tls) -> tuple[ssl.SSLContext | None, ssl.SSLContext | None]:
    """What secures who listens, and who dials: a context is made for one of them, and of no use to the other.

    Raises:
        MisuseError: it is no context, or there are two for one side.
    """
    given = [] if tls is None else [tls] if isinstance(tls, ssl.SSLContext) else list(tls)
    if not all(isinstance(one, ssl.SSLContext) for one in given):
        raise MisuseError(f"tls={tls!r}: an ssl.SSLContext, or two: one to listen with, one to dial with")
    serves = [one for one in given if one.protocol is not ssl.PROTOCOL_TLS_CLIENT]
    dials = [one for one in given if one.protocol is not ssl.PROTOCOL_TLS_SERVER]
    if len(serves) > 1 or len(dials) > 1:
        raise MisuseError(
            f"tls=: two contexts for one side; {TO_LISTEN}, and ssl.create_default_context() one to dial with"
        )
    return (*serves, None)[0], (*dials, None)[0]


async def dialled(url: str, tls: ssl.SSLContext | None) -> Socket:
    """A connection to somebody who listens.

    Raises:
        Unreachable: there is none.
    """
    options: dict[str, Any] = {"ssl": tls} if tls is not None else {}
    if is_local(urlsplit(url).hostname or ""):
        options["proxy"] = None
    try:
        return Socket(
            await connect(  # type: ignore[arg-type]
                url,
                create_connection=_Client,
                compression=None,
                max_size=MAX_FRAME,
                ping_interval=None,
                open_timeout=10,
                close_timeout=CLOSING,
                write_limit=(HIGH, LOW),
                user_agent_header=None,
                **options,
            )
        )
    except (OSError, TimeoutError, ValueError, WebSocketException, EOFError) as error:
        raise Unreachable(f"{url}: {error or type(error).__name__}") from error


Answer = Callable[[str], tuple[int, str] | None]  # a path -> a status and a text, for who comes for a page


class Listener:
    """What lets others dial, until it is closed."""

    def __init__(self, server: Server, strangers: dict[_Served, float]) -> None:
        self._server = server
        self._strangers = strangers

    def close(self) -> None:
        """Let nobody dial any more, nor go on with a handshake; connections stay."""
        self._server.close(close_connections=False)
        for stranger in list(self._strangers):
            if stranger.protocol.state is State.CONNECTING:
                stranger.transport.abort()

    async def wait_closed(self) -> None:
        """Until the last connection has ended."""
        await self._server.wait_closed()


async def listening(
    host: str, port: int, tls: ssl.SSLContext | None, handle: Callable[[Socket], Awaitable[None]], answer: Answer
) -> tuple[Listener, str]:
    """Listen; gives what ends it, and the address others dial."""
    strangers: dict[_Served, float] = {}

    def asked(connection: ServerConnection, request: Request) -> Response | None:
        page = answer(request.path)
        return None if page is None else connection.respond(*page)

    async def served(connection: ServerConnection) -> None:
        await handle(Socket(connection))  # type: ignore[arg-type]

    server = await serve(
        served,
        host,
        port,
        create_connection=partial(_Served, strangers),  # type: ignore[arg-type]
        compression=None,
        max_size=MAX_FRAME,
        ping_interval=None,
        close_timeout=CLOSING,
        write_limit=(HIGH, LOW),
        origins=[None],
        process_request=asked,
        server_header=None,
        logger=_log,
        ssl=tls,
    )
    bound = next(iter(server.sockets)).getsockname()[1]
    name = f"[{host}]" if ":" in host else host
    return Listener(server, strangers), f"{'wss' if tls else 'ws'}://{name}:{bound}"


def is_local(host: str) -> bool:
    """Whether only this machine can reach it."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
