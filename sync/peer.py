"""A peer at work: it listens, dials and dials again, and keeps the hub's connections going over websockets.

1. All of it runs on one event loop. A memory may be written to from any thread; what is new is handed out in the next
   turn of the loop, so that what comes together goes together.
2. Nothing is left behind: closing sends what is due, says Bye, and waits for every task.
3. Whoever is dialled is dialled again until the peer closes, ever more seldom and never in step with others.
"""

from __future__ import annotations

import asyncio
import os
import random
import ssl
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from crdtmem.change import Version
from crdtmem.errors import CrdtmemError, MisuseError, NotReached
from crdtmem.feed import Feed
from crdtmem.memory import Memory
from crdtmem.sync.access import EVERYTHING, Grant
from crdtmem.sync.frames import Hello, Welcome
from crdtmem.sync.hub import Hub, Refused
from crdtmem.sync.link import Link, News
from crdtmem.sync.meet import Address, Meeting
from crdtmem.sync.outlet import Outlet
from crdtmem.sync.websocket import Socket, Unreachable, dialled, is_local, listening

if TYPE_CHECKING:
    from crdtmem.sync.blocking import BlockingPeer

LOOK = 0.5  # seconds between looks at a meeting place
FIRST, LAST = 0.2, 30.0  # seconds until a lost connection is dialled again: at most, at first and at last
LINGER = 2.0  # seconds that closing takes to hand out what is due


class Peer:
    """Shares memories with other peers.

    Args:
        memories: what to share. Handing a memory in is what shares it.
        meet: a folder: all peers of this machine that use it find each other.
        listen: where others may dial, as "127.0.0.1:7400"; port 0 takes any, and `url` says which.
        dial: addresses of peers that listen.
        name: what it calls itself; the agent of the first memory, if not given.
        token: what lets it in where it dials.
        tls: for what it dials by wss://, and, with a certificate, for listening.

    >>> import asyncio
    >>> from crdtmem import Peer, Replica
    >>> async def main():
    ...     ann, bob = (Replica(name).open(tenant="acme") for name in ("ann", "bob"))
    ...     async with Peer(ann, listen="127.0.0.1:0") as one, Peer(bob, dial=[one.url]) as other:
    ...         _ = ann.set("facts").add("churn is 3.1 %")
    ...         await one.synced(timeout=10)
    ...     return sorted(bob.set("facts"))
    >>> asyncio.run(main())
    ['churn is 3.1 %']
    """

    def __init__(
        self,
        *memories: Memory,
        meet: str | os.PathLike[str] | None = None,
        listen: str | None = None,
        dial: Iterable[str] = (),
        name: str | None = None,
        token: str | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        if not memories:
            raise MisuseError("Peer() shares memories: hand at least one in, as in Peer(memory, meet='team/')")
        for memory in memories:
            if not isinstance(memory, Memory):
                raise TypeError(f"Peer() takes memories, as replica.open(...) makes them, not {type(memory).__name__}")
        self._feeds = [Feed(memory) for memory in memories]
        self._meeting = Meeting(meet) if meet is not None else None
        self._listen = _address(listen) if listen is not None else None
        self._dial = [dial] if isinstance(dial, str) else list(dial)
        for url in self._dial:
            if urlsplit(url).scheme not in ("ws", "wss"):
                raise MisuseError(f"dial={url!r}: an address of a peer, as in 'ws://10.0.0.7:7400'")
        if self._listen and not is_local(self._listen[0]):
            raise MisuseError(
                f"listen={listen!r} can be reached from other machines, and nothing says who may enter; listen on "
                "127.0.0.1, or run a relay with an issuer of tokens"
            )
        if self._meeting is None and self._listen is None and not self._dial:
            raise MisuseError("nobody can find this Peer: give it meet='team/', listen='127.0.0.1:7400' or dial=[...]")
        self._token = token
        self._tls = tls
        self._watches: list[Callable[[News], None]] = []
        self._waits: list[_Wait] = []
        self._sockets: dict[Link, Socket] = {}
        self._stirred: set[Outlet] = set()
        self._busy: set[Link] = set()  # those to whom more will be sent in the next turn of the loop
        self._awake = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._ends: list[Callable[[], None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._servers: list[Any] = []
        self._sent: asyncio.Event | None = None  # when closing: set once all is handed out
        self._met: dict[bytes, asyncio.Task[None]] = {}
        self.hub = Hub(os.urandom(16), name or memories[0].agent, self._told, self._admit)
        self.url = ""

    # -- starting and ending -----------------------------------------------------------------------

    async def __aenter__(self) -> Peer:
        self._loop = asyncio.get_running_loop()
        try:
            for feed in self._feeds:
                outlet = self.hub.share(feed)
                self._ends.append(feed.watch(self._waker(outlet)))
            if self._listen:
                await self._open(*self._listen)
            if self._meeting:
                if not self.url:
                    await self._open("127.0.0.1", 0)
                self._meeting.announce(Address(self.hub.id, self.hub.name, self.url))
                self._spawn(self._meet(self._meeting))
            for url in self._dial:
                self._spawn(self._keep(url, self._token))
            self._spawn(self._ticking())
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    def blocking(self) -> BlockingPeer:
        """The same peer for programs without an event loop: `with Peer(...).blocking() as peer`."""
        from crdtmem.sync.blocking import BlockingPeer

        return BlockingPeer(self)

    async def close(self) -> None:
        """Hand out what is due, say Bye, and end every task; closing twice does nothing."""
        ends, self._ends = self._ends, []
        if not ends:
            return
        if self._meeting:
            self._meeting.leave()
        for server in self._servers:
            server.close(close_connections=False)
        self._work()
        if any(link.lags for link in self.hub.links):
            self._sent = asyncio.Event()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._sent.wait(), LINGER)
        for end in ends:
            end()
        for link in list(self.hub.links):
            link.session.end("bye", "this peer has closed")
            self._pump(link)
        await asyncio.gather(*[socket.close() for socket in self._sockets.values()], return_exceptions=True)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for server in self._servers:
            await server.wait_closed()
        for wait in self._waits:
            wait.future.cancel()

    async def _open(self, host: str, port: int) -> None:
        server, self.url = await listening(host, port, self._tls, self._enter)
        self._servers.append(server)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # -- what is new goes out ----------------------------------------------------------------------

    def _waker(self, outlet: Outlet) -> Callable[[], None]:
        def woken() -> None:  # in any thread, with the memory locked
            self._stirred.add(outlet)
            if not self._awake:
                self._awake = True
                assert self._loop is not None
                with suppress(RuntimeError):  # the loop has ended: nobody is there to be told
                    self._loop.call_soon_threadsafe(self._work)

        return woken

    def _work(self) -> None:
        self._awake = False
        stirred, self._stirred = self._stirred, set()
        for outlet in stirred:
            outlet.refresh()
        for link in list(self.hub.links):
            self._pump(link)

    def _pump(self, link: Link) -> None:
        """Put on the wire what is to go to one peer, as far as there is room."""
        socket = self._sockets.get(link)
        if socket is None:
            return
        room = socket.room
        more = room > 0 and link.pump(room)
        for data in link.session.data_to_send():
            socket.send(data)
        if more and link not in self._busy and socket.room:  # else there will be room again, and this is called
            assert self._loop is not None
            self._busy.add(link)
            self._loop.call_soon(self._go_on, link)
        if link.session.ended is not None:
            self._spawn(socket.close())
        if self._sent is not None and not any(link.lags for link in self.hub.links):
            self._sent.set()

    def _go_on(self, link: Link) -> None:
        self._busy.discard(link)
        self._pump(link)

    async def _ticking(self) -> None:
        assert self._loop is not None
        while True:
            await asyncio.sleep(1)
            self.hub.tick(self._loop.time())
            self._work()

    # -- connections -------------------------------------------------------------------------------

    async def _enter(self, socket: Socket) -> None:
        """Somebody has dialled."""
        assert self._loop is not None
        await self._converse(self.hub.link(dials=False, now=self._loop.time()), socket)

    async def _converse(self, link: Link, socket: Socket) -> None:
        """Keep a connection going until it ends."""
        self._sockets[link] = socket
        socket.on_room(lambda: self._pump(link))
        try:
            self._pump(link)
            async for data in socket.messages():
                try:
                    self.hub.receive(link, data)
                except CrdtmemError as error:  # the memory is closed, or its store is gone
                    link.session.end("trouble", str(error))
                self._pump(link)
                if link.session.ended is not None:
                    break
        finally:
            del self._sockets[link]
            self.hub.gone(link)
            await socket.close()

    async def _keep(
        self,
        url: str,
        token: str | None,
        trusts: Callable[[Welcome], bool] = lambda welcome: True,
        *,
        wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        """Dial, and dial again when the connection is lost."""
        assert self._loop is not None
        pause = FIRST
        while wanted():
            try:
                socket = await dialled(url, self._tls if url.startswith("wss") else None)
            except Unreachable as error:
                self._told(News("unreachable", url, None, str(error)))
            else:
                link = self.hub.link(dials=True, now=self._loop.time(), token=token, trusts=trusts)
                await self._converse(link, socket)
                if link.peer:
                    pause = FIRST
            if wanted():
                await asyncio.sleep(random.uniform(0, pause))
                pause = min(pause * 2, LAST)

    # -- meeting -----------------------------------------------------------------------------------

    async def _meet(self, meeting: Meeting) -> None:
        """Dial those who were here first; later, those who have not come by themselves."""
        seen: set[bytes] = set()
        first = True
        while True:
            present = {address.peer: address for address in meeting.present() if address.peer != self.hub.id}
            linked = {link.peer for link in self.hub.links}
            for peer, address in present.items():
                if peer not in linked and peer not in self._met and (first or peer in seen):
                    task = self._spawn(self._visit(meeting, address))
                    self._met[peer] = task
                    task.add_done_callback(partial(self._left, peer))
            seen, first = set(present), False
            await asyncio.sleep(LOOK)

    def _left(self, peer: bytes, _: object) -> None:
        self._met.pop(peer, None)

    async def _visit(self, meeting: Meeting, address: Address) -> None:
        """Dial one of those who have announced themselves, once; whoever does not listen any more is dead."""
        assert self._loop is not None
        try:
            socket = await dialled(address.url, None)
        except Unreachable:
            if any(still == address for still in meeting.present()):
                meeting.dead(address)
            return
        link = self.hub.link(
            dials=True,
            now=self._loop.time(),
            token=meeting.proof(self.hub.id, address.peer),
            trusts=lambda said: said.peer == address.peer and meeting.knows(said.token, said.peer, self.hub.id),
        )
        await self._converse(link, socket)

    def _admit(self, hello: Hello) -> tuple[Grant, str | None]:
        if self._meeting is not None and self._meeting.knows(hello.token, hello.peer, self.hub.id):
            return EVERYTHING, self._meeting.proof(self.hub.id, hello.peer)
        if self._listen is None:
            raise Refused("not admitted", "only those who use the same meeting place may enter here")
        return EVERYTHING, None

    # -- asking ------------------------------------------------------------------------------------

    def watch(self, callback: Callable[[News], None]) -> Callable[[], None]:
        """Have this called, on the loop, with all that happens to connections; gives what ends it."""
        self._watches.append(callback)
        return lambda: self._watches.remove(callback)

    def _told(self, news: News) -> None:
        if news.kind == "joined":
            for wait in self._waits:
                wait.ask()
        for callback in list(self._watches):
            callback(news)

    @property
    def connected(self) -> list[str]:
        """The names of the peers that are connected."""
        return sorted(link.name for link in self.hub.links if link.peer)

    async def synced(self, peers: int = 1, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Wait until so many peers have stored all that is here now, and all that they have now is here.

        Raises:
            NotReached: not in time, or not with so many.
        """
        waits = [_Wait(self.hub, outlet, peers) for outlet in self.hub.outlets.values()]
        self._waits += waits
        try:
            for wait in waits:
                wait.ask()
            self._work()
            async with asyncio.timeout(timeout):
                await asyncio.gather(*[wait.future for wait in waits])
        except TimeoutError:
            short = min(waits, key=lambda wait: len(wait.peers))
            raise NotReached(
                f"{len(short.peers)} of {peers} peers were in step with {short.outlet.feed.namespace!r} after "
                f"{timeout:g} s; connected: {', '.join(self.connected) or 'nobody'}"
            ) from None
        finally:
            for wait in waits:
                wait.end()
                self._waits.remove(wait)

    async def reached(self, version: Version | str, peers: int = 1, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Wait until so many peers have stored all of a version.

        Raises:
            NotReached: not in time, or not with so many.
        """
        memory = next((feed.memory for feed in self._feeds if feed.knows(version)), None)
        if memory is None:
            raise NotReached("no memory shared here has reached that version; memory.wait(version) waits for it")
        await self.synced(peers, timeout)


class _Wait:
    """Until so many peers are in step with one memory."""

    def __init__(self, hub: Hub, outlet: Outlet, count: int) -> None:
        self.outlet = outlet
        self.peers: set[bytes] = set()
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._hub = hub
        self._count = count
        self._asked: dict[Link, Callable[[], None]] = {}
        if count < 1:
            raise MisuseError("synced() waits for at least one peer")

    def ask(self) -> None:
        """Ask whoever has not been asked."""
        for link in self._hub.links:
            if link.peer and link not in self._asked:
                self._asked[link] = link.mark(self.outlet, lambda link=link: self._done(link))  # type: ignore[misc]

    def _done(self, link: Link) -> None:
        self.peers.add(link.peer)
        if len(self.peers) >= self._count and not self.future.done():
            self.future.set_result(None)

    def end(self) -> None:
        """Nobody waits any more."""
        for end in self._asked.values():
            end()
        if not self.future.done():
            self.future.cancel()


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise MisuseError(f"listen={text!r}: a host and a port, as in '127.0.0.1:7400'; port 0 takes any")
    return host.strip("[]"), int(port)
