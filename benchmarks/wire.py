"""The client end of a websocket, thin enough that a process drives thousands and the server is what is measured.

It speaks to servers that behave: whole messages, no extensions. Anything else is an error.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

_BINARY, _CLOSE, _PING = 0x82, 0x88, 0x89
_PATIENCE = 30.0  # seconds for a server to let somebody in
_AT_ONCE = 1 << 18  # bytes


class Wire:
    """One connection.

    Args:
        url: where to.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._left = b""
        self._socket = socket.create_connection((parts.hostname, parts.port or 80), _PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(
            f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        head = b""
        while b"\r\n\r\n" not in head:
            more = self._socket.recv(_AT_ONCE)
            if not more:
                raise ConnectionError(f"{url} has hung up: {head[:80]!r}")
            head += more
        head, _, self._left = head.partition(b"\r\n\r\n")
        if b" 101 " not in head.partition(b"\r\n")[0]:
            raise ConnectionError(f"{url} is no websocket: {head[:80]!r}")
        self._socket.settimeout(0)

    def fileno(self) -> int:
        """For those who wait on it."""
        return self._socket.fileno()

    def send(self, data: bytes) -> None:
        """Send one message."""
        self._frame(_BINARY, data)

    def _frame(self, kind: int, data: bytes) -> None:
        size = len(data)
        if size < 126:
            head = bytes([kind, 128 | size])
        elif size < 1 << 16:
            head = bytes([kind, 128 | 126]) + size.to_bytes(2, "big")
        else:
            head = bytes([kind, 128 | 127]) + size.to_bytes(8, "big")
        rest = memoryview(head + b"\0\0\0\0" + data)  # a mask of zeros changes nothing, here and there
        while rest:
            try:
                rest = rest[self._socket.send(rest) :]
            except BlockingIOError:
                self._wait(select.POLLOUT, 1.0)

    def take(self) -> list[bytes]:
        """The messages that have arrived."""
        try:
            data = self._socket.recv(_AT_ONCE)
            if not data:
                raise ConnectionError("the server has hung up")
        except BlockingIOError:
            data = b""
        data = self._left + data
        found, at, end = [], 0, len(data)
        while end - at >= 2:
            size, head = data[at + 1], 2
            if size == 126:
                size, head = int.from_bytes(data[at + 2 : at + 4], "big"), 4
            elif size == 127:
                size, head = int.from_bytes(data[at + 2 : at + 10], "big"), 10
            if end - at < head + size:
                break
            message = data[at + head : at + head + size]
            if data[at] == _BINARY:
                found.append(message)
            elif data[at] == _PING:
                self._frame(0x8A, message)
            elif data[at] == _CLOSE:
                raise ConnectionError(f"the server has ended it: {message[2:]!r}")
            at += head + size
        self._left = data[at:]
        return found

    def messages(self, patience: float = _PATIENCE) -> Iterator[bytes]:
        """What arrives, one message after the other, waiting for each.

        Raises:
            TimeoutError: nothing has arrived for so many seconds.
        """
        while True:
            yield from self.take()
            if not self.waits(patience):
                raise TimeoutError(f"nothing has arrived for {patience:g} s")

    def waits(self, seconds: float) -> bool:
        """Whether something arrives within so many seconds."""
        return self._wait(select.POLLIN, seconds)

    def _wait(self, what: int, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self, what)
        return bool(poll.poll(1000 * seconds))

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


class Many:
    """Wires that are waited on together."""

    def __init__(self, wires: Iterable[Wire]) -> None:
        self._epoll = select.epoll()
        self._wires = {wire.fileno(): wire for wire in wires}
        for number in self._wires:
            self._epoll.register(number, select.EPOLLIN)

    def arriving(self, until: float) -> Iterator[tuple[Wire, list[bytes]]]:
        """Whose messages have arrived, until a moment of time.monotonic()."""
        while (left := until - time.monotonic()) > 0:
            for number, _ in self._epoll.poll(left, 4096):
                wire = self._wires[number]
                yield wire, wire.take()
