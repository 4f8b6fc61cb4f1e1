"""A peer: what a program sees of the sharing of its memories. It finds others, and waits for them."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlsplit

from crdtmem.change import Version
from crdtmem.errors import Closed, MisuseError, NotReached
from crdtmem.feed import Feed
from crdtmem.memory import Memory
from crdtmem.sync.access import EVERYTHING, TOGETHER, Grant, Refused
from crdtmem.sync.frames import Hello
from crdtmem.sync.hub import Hub
from crdtmem.sync.link import Link
from crdtmem.sync.meet import Address, Meeting
from crdtmem.sync.news import News
from crdtmem.sync.node import Node
from crdtmem.sync.outlet import Outlet
from crdtmem.sync.presence import Present
from crdtmem.sync.sigterm import heed
from crdtmem.sync.visits import Visits
from crdtmem.sync.websocket import TO_LISTEN, Tls, is_local, sides

if TYPE_CHECKING:
    from crdtmem.sync.blocking import BlockingPeer
    from crdtmem.sync.tokens import Door

log = logging.getLogger("crdtmem")


class Peer:
    """Shares memories with other peers.

    Args:
        memories: what to share. Handing a memory in is what shares it.
        meet: a folder: all peers of this machine that use it find each other.
        listen: where others may dial, as "127.0.0.1:7400"; port 0 takes any, and `url` says which.
        dial: addresses of peers that listen.
        name: what it calls itself; the agent of the first memory, if not given.
        token: what lets it in where it dials.
        issuer: the public key of who issues tokens; then nobody enters here without one.
        revoked: a file with the ids of tokens that count no longer.
        tls: an SSL context, or two: a server's, with a certificate, is for `listen`, a client's for what it dials by
            wss://. The meeting place needs none: it stays on this machine.
        trust: the keys of those whose checkpoints are taken, besides those at the meeting place and the owner.

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
        issuer: bytes | None = None,
        revoked: str | os.PathLike[str] | None = None,
        tls: Tls = None,
        trust: Iterable[bytes] = (),
    ) -> None:
        if not memories:
            raise MisuseError("Peer() shares memories: hand at least one in, as in Peer(memory, meet='team/')")
        for memory in memories:
            if not isinstance(memory, Memory):
                raise TypeError(f"Peer() takes memories, as replica.open(...) makes them, not {type(memory).__name__}")
        if len({memory.namespace.digest for memory in memories}) < len(memories):
            raise MisuseError("two of these memories are of one namespace; a peer shares each namespace once")
        self._feeds = [Feed(memory) for memory in memories]
        self._meeting = Meeting(meet) if meet is not None else None
        self._listen = host_and_port(listen) if listen is not None else None
        self._dial = [dial] if isinstance(dial, str) else list(dial)
        for url in self._dial:
            if not _is_address(url):
                raise MisuseError(f"dial={url!r}: an address of a peer, as in 'ws://10.0.0.7:7400'")
        if self._listen and issuer is None and not is_local(self._listen[0]):
            raise MisuseError(
                f"listen={listen!r} can be reached from other machines, and nothing says who may enter; listen on "
                "127.0.0.1, or say whose tokens count: issuer=identity.key"
            )
        self._door: Door | None = None
        if issuer is not None:
            from crdtmem.sync.tokens import Door

            self._door = Door(issuer, revoked)
        if self._meeting is None and self._listen is None and not self._dial:
            raise MisuseError("nobody can find this Peer: give it meet='team/', listen='127.0.0.1:7400' or dial=[...]")
        self._token = token and token.strip()  # files and variables end with a newline
        self._serves, self._tls = sides(tls)
        self._check_tls()
        self._watches: list[Callable[[News], None]] = []
        self._waits: list[_Wait] = []
        self._ends: list[Callable[[], None]] = []
        self._node: Node | None = None
        self._closing: asyncio.Task[None] | None = None
        self._entered = False
        self._leaving = False  # the whole program ends
        ends = self._door.ends if self._door else lambda grant: None
        self.hub = Hub(os.urandom(16), name or memories[0].agent, self._told, self._admit, ends, trust=_keys(trust))
        if self._door is not None:
            self._door.failed = partial(self.hub.failed, self._door)
        self.url = ""

    def _check_tls(self) -> None:
        """Nothing is in the clear that was meant to be secured."""
        if self._serves and self._serves is not self._tls and not self._listen:
            raise MisuseError(
                "tls= holds a context to listen with, and this peer listens nowhere: give it listen=, or to dial with, "
                "one that ssl.create_default_context() makes"
            )
        if self._tls and not self._serves and self._listen:
            secures = any(url.startswith("wss") for url in self._dial)
            if not secures or not is_local(self._listen[0]):
                raise MisuseError(f"listen= would be in the clear: tls= holds only a context to dial with; {TO_LISTEN}")

    # -- starting and ending -----------------------------------------------------------------------

    async def __aenter__(self) -> Peer:
        if self._entered:
            raise MisuseError("a peer is entered once; make a new one")
        self._entered = True
        node = self._node = Node(self.hub, self._told, self._tls)
        self._heeded = heed(self._leave)
        try:
            for feed in self._feeds:
                self._ends.append(feed.watch(node.waker(self.hub.share(feed))))
            if self._listen:
                self.url = await node.listen(*self._listen, self._serves)
            if self._meeting:
                here = self.url if self.url and not self._serves else await node.listen("127.0.0.1", 0)
                self.url = self.url or here
                self._meeting.announce(Address(self.hub.id, self.hub.name, here))
                node.spawn(Visits(self._meeting, node, self._told).go_on())
            for url in self._dial:
                node.spawn(node.keep(url, self._token))
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    def __enter__(self) -> NoReturn:
        raise MisuseError(
            "a peer needs an event loop: `async with Peer(...)`, or `with Peer(...).blocking()` without one"
        )

    def __exit__(self, *exc: object) -> None:
        """Nothing was entered; without this Python would not say what `__enter__` does."""

    def blocking(self) -> BlockingPeer:
        """The same peer for programs without an event loop: `with Peer(...).blocking() as peer`."""
        from crdtmem.sync.blocking import BlockingPeer

        return BlockingPeer(self)

    async def close(self) -> None:
        """Hand out what is due, say Bye, and end every task; closing twice does nothing."""
        node, self._node = self._node, None
        if node is not None:
            self._closing = asyncio.create_task(self._close(node))
            self._closing.add_done_callback(lambda _: self._heeded())
        if self._closing is not None:
            await asyncio.shield(self._closing)  # to the end, even if whoever asked does not wait for it

    async def _leave(self) -> None:
        self._leaving = True
        await self.close()

    async def _close(self, node: Node) -> None:
        if self._meeting:
            self._meeting.leave()
        for feed in self._feeds:
            self.hub.away(feed.namespace.digest, feed.memory.agent)
        await node.close()
        for end in self._ends:
            end()
        for wait in self._waits:
            if not wait.future.done() and not self._leaving:
                wait.future.set_exception(Closed("this peer has been closed"))
        await asyncio.sleep(0)  # whoever waited hears of it

    @property
    def _running(self) -> Node:
        if self._node is None:
            raise Closed("this peer is not running: use it inside `async with`")
        return self._node

    # -- letting in --------------------------------------------------------------------------------

    def _admit(self, hello: Hello) -> tuple[Grant, str | None]:
        if self._meeting is not None and self._meeting.knows(hello.token, hello.peer, self.hub.id):
            return TOGETHER, self._meeting.proof(self.hub.id, hello.peer)
        if self._door is not None:
            return self._door.grant(hello.token), None
        if self._listen is None:
            raise Refused("not admitted", "only those who use the same meeting place may enter here")
        if Meeting.proves(hello.token):
            raise Refused("not admitted", "another peer was meant, which has listened here before")
        return EVERYTHING, None

    # -- asking ------------------------------------------------------------------------------------

    def watch(self, callback: Callable[[News], None]) -> Callable[[], None]:
        """Have this called, on the loop, with all that happens to connections; gives what ends it."""
        self._watches.append(callback)

        def end() -> None:
            with suppress(ValueError):  # it has ended already
                self._watches.remove(callback)

        return end

    def _told(self, news: News) -> None:
        if news.kind == "joined":
            for wait in self._waits:
                wait.ask()
        for wait in self._waits:
            if wait.outlet.gone and not wait.future.done():
                wait.future.set_exception(_closed(wait.outlet.feed.memory))
        for callback in list(self._watches):
            try:
                callback(news)
            except (Exception, SystemExit):  # sys.exit() in a callback must not end the loop
                log.exception("a callback of watch() failed; its peer is unharmed")

    @property
    def connected(self) -> list[str]:
        """The names of the peers that are connected."""
        return sorted(link.name for link in list(self.hub.links) if link.peer)  # any thread may ask

    def behind(self, *, memory: Memory | None = None) -> dict[str, int]:
        """How many changes each connected peer that shares a memory has still to be sent at most, by its name.

        Args:
            memory: which one; the first that is shared, if not given.
        """
        outlet = self.hub.outlets[self._present(memory or self._feeds[0].memory)]
        outlet.refresh()
        sharing = [(link.name, channel) for link, channel in outlet.links.items() if not channel.refused]
        return dict(sorted((name, outlet.newest - (channel.cursor or 0)) for name, channel in sharing))

    def here(self, doing: str | None = None, *, field: str | None = None, memory: Memory | None = None) -> None:
        """Tell the team that the agent of a memory is there, and what it does, until `away` or the peer closes.

        Args:
            doing: what, in a few words.
            field: in which field.
            memory: where; the first that is shared, if not given.
        """
        memory = memory or self._feeds[0].memory
        node = self._running
        self._present(memory)
        self.hub.here(memory.namespace.digest, memory.agent, doing, field)
        node.work()

    def away(self, *, memory: Memory | None = None) -> None:
        """Tell the team that the agent of a memory is there no more."""
        memory = memory or self._feeds[0].memory
        self.hub.away(memory.namespace.digest, memory.agent)
        self._running.work()

    def present(self, *, memory: Memory | None = None) -> list[Present]:
        """Who is there: what agents of all peers that share the memory have said of themselves."""
        return self.hub.present(self._present(memory or self._feeds[0].memory))

    def _present(self, memory: Memory) -> bytes:
        if memory.namespace.digest not in self.hub.outlets:
            if self._entered and any(feed.memory is memory for feed in self._feeds):
                raise _closed(memory)
            raise MisuseError(f"{memory.namespace!r} is not shared by this peer")
        return memory.namespace.digest

    async def synced(self, peers: int = 1, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Wait until so many peers have stored all that is here now, and all that they have now is here.

        Raises:
            NotReached: not in time, or not with so many.
            Closed: this peer, or one of its memories; who was waiting then is told so as well.
        """
        await self._in_step([feed.memory for feed in self._feeds], peers, timeout)

    async def _in_step(self, memories: list[Memory], peers: int, timeout: float | None) -> None:  # noqa: ASYNC109
        node = self._running
        waits = [_Wait(self.hub, self.hub.outlets[self._present(memory)], peers) for memory in memories]
        self._waits += waits
        try:
            for wait in waits:
                wait.ask()
            node.work()
            async with asyncio.timeout(timeout):
                await asyncio.gather(*[wait.future for wait in waits])
        except TimeoutError:
            short = min(waits, key=lambda wait: len(wait.peers))
            raise NotReached(
                f"{len(short.peers)} of {peers} peers were in step with {short.outlet.feed.namespace!r} after "
                f"{timeout:g} s; connected: {self._who(short.outlet)}"
            ) from None
        finally:
            for wait in waits:
                wait.end()
                self._waits.remove(wait)

    def _who(self, outlet: Outlet) -> str:
        """Who is connected, and why somebody cannot be in step with a memory."""
        said = []
        for link in self.hub.links:
            channel = outlet.links.get(link)
            why = channel.refused if channel else "may not read that here"
            said += [link.name + (f" ({why})" if why else "")] if link.peer else []
        return ", ".join(sorted(said)) or "nobody"

    async def reached(self, version: Version | str, peers: int = 1, timeout: float | None = None) -> None:  # noqa: ASYNC109
        """Wait until so many peers have stored all of a version.

        Raises:
            NotReached: not in time, or not with so many.
        """
        memory = next((feed.memory for feed in self._feeds if feed.knows(version)), None)
        if memory is None:
            raise NotReached("no memory shared here has reached that version; memory.wait(version) waits for it")
        await self._in_step([memory], peers, timeout)


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


def _closed(memory: Memory) -> Closed:
    return Closed(
        f"{memory.namespace!r} has been closed, and is shared no more; open it again, and share it by a new peer"
    )


def _keys(trust: Iterable[bytes]) -> list[bytes]:
    keys = list(trust)  # of a single key, numbers
    if not all(isinstance(key, bytes) and len(key) == 32 for key in keys):
        raise MisuseError(f"trust={trust!r}: a list of public keys of 32 bytes each, as in trust=[identity.key]")
    return keys


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("ws", "wss") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # the port is no number, or too large
        return False


def host_and_port(text: str) -> tuple[str, int]:
    """Where to listen."""
    host, _, port = str(text).rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise MisuseError(f"listen={text!r}: a host and a port, as in '127.0.0.1:7400'; port 0 takes any")
    return host.strip("[]"), int(port)
