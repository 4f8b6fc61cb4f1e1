"""One of several servers on one folder: a file of its own, what others left behind, a peer, a transport.

Every host starts its server with the same words, so each takes the first file in the folder that no living process
owns. Before it serves it takes in what is in the others: a server that was killed may have acknowledged writes that it
had not sent yet.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from itertools import count
from pathlib import Path

import uvicorn

from crdtmem import Memory, MisuseError, Namespace, NotReached, Peer, Replica, SqliteStore, StoreError
from crdtmem.adapters.mcp.server import MemoryServer
from crdtmem.sync.meet import Meeting
from crdtmem.sync.peer import host_and_port
from crdtmem.sync.websocket import is_local

log = logging.getLogger("crdtmem")
MOMENT = 1.0  # seconds


@asynccontextmanager
async def shared(folder: str | os.PathLike[str], namespace: Namespace, *, agent: str) -> AsyncIterator[Memory]:
    """The memory of all who use a folder, kept in a file of this process, and sent to and fro while the block lasts.

    Where others are there, it begins with what they have, unless they take longer than a moment.
    """
    with gathered(folder, namespace, agent=agent) as memory:
        others = Meeting(folder).present()
        async with Peer(memory, meet=folder) as peer:
            if others:
                with suppress(NotReached):  # they may be dead, and their addresses left behind
                    await peer.synced(timeout=MOMENT)
            yield memory


@contextmanager
def gathered(folder: str | os.PathLike[str], namespace: Namespace, *, agent: str) -> Iterator[Memory]:
    """The memory of all who use a folder, as far as the files in it say.

    >>> from tempfile import mkdtemp
    >>> folder, space = mkdtemp(), Namespace(tenant="acme")
    >>> with gathered(folder, space, agent="one") as one, gathered(folder, space, agent="two") as two:
    ...     _ = two.set("facts").add("not sent to anybody")  # and then its process ends
    >>> with gathered(folder, space, agent="three") as memory:
    ...     list(memory.set("facts"))
    ['not sent to anybody']
    """
    place = Path(folder) / "stores"
    Path(folder).mkdir(mode=0o700, parents=True, exist_ok=True)
    place.mkdir(mode=0o700, exist_ok=True)
    with _free(place) as store, Replica(agent, store=store) as replica:
        memory = replica.open(namespace)
        for path in sorted(place.glob("*.db")):
            if os.path.realpath(path) != store.path:
                _adopt(memory, path)
        yield memory


def _free(place: Path) -> SqliteStore:
    """The first file that nobody owns, and that can be opened."""
    for number in count(1):
        path = place / f"{number}.db"
        there = path.exists()
        try:
            return _owned(path)
        except _Owned:
            continue
        except StoreError as error:
            if not there:
                raise
            log.warning("%s is left alone, and another file used: %s", path, error)
    raise AssertionError("count() never ends")


class _Owned(Exception):
    """A living process owns the file."""


def _owned(path: Path) -> SqliteStore:
    try:
        return SqliteStore(path)
    except StoreError as error:
        if isinstance(error.__cause__, BlockingIOError):
            raise _Owned from error
        raise


def _adopt(memory: Memory, path: Path) -> None:
    """Take in what is in the file of a process that is gone."""
    try:
        with _owned(path) as store, Replica(memory.agent, store=store) as replica:
            left = replica.open(memory.namespace).changes(memory.version)
            for refusal in memory.receive(left, sender=path.name).refused:
                log.warning("a change in %s was refused: %s", path, refusal)
    except _Owned:
        pass  # it is alive, and sends what it has
    except StoreError as error:
        log.warning("what is in %s was not taken in: %s", path, error)


def listening(address: str) -> socket.socket:
    """A socket that HTTP is served on; port 0 takes any.

    Raises:
        MisuseError: other machines could reach it, and nothing says who may enter.
    """
    host, port = host_and_port(address)
    if not is_local(host):
        raise MisuseError(
            f"--http {address} can be reached from other machines, and this server asks nobody who they are; listen on "
            "127.0.0.1, and put a proxy before it that does"
        )
    return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)


class _Uvicorn(uvicorn.Server):
    """Uvicorn without its signal handlers: they end the process before the memory is closed."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def http(server: MemoryServer, listener: socket.socket, told: Callable[[str], object]) -> None:
    """Serve streamable HTTP until SIGINT or SIGTERM."""
    host, port = listener.getsockname()[:2]
    app = server.server.streamable_http_app(host="127.0.0.1")
    running = _Uvicorn(uvicorn.Config(app, log_level="warning", lifespan="on", timeout_graceful_shutdown=2))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, running.handle_exit, number, None)
    told(f"http://{f'[{host}]' if ':' in host else host}:{port}/mcp")
    await running.serve(sockets=[listener])
