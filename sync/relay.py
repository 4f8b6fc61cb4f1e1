"""A relay: a peer for many teams that keeps and passes on what they write, and reads none of it.

1. A namespace is opened when somebody asks for it who may: from the file if it is there, else anew for who may write.
   Nobody is told of others. Where nobody is connected for a while, it is closed again.
2. Changes are checked as everywhere and stored before they are passed on; no document is built (ledger.py).
3. Each connection has a budget; who exceeds it waits, and nobody else does.
4. At its end it takes in nobody new, hands out what is due and says Bye: its peers dial again, wherever that leads.
"""

from __future__ import annotations

import json
import logging
import os
import ssl
import time
from collections import Counter
from collections.abc import Callable
from functools import partial

from crdtmem.errors import MisuseError
from crdtmem.feed import Feed
from crdtmem.ledger import ledger
from crdtmem.namespace import Namespace
from crdtmem.store import Store
from crdtmem.sync.access import EVERYTHING, Grant
from crdtmem.sync.frames import Hello
from crdtmem.sync.hub import Hub
from crdtmem.sync.news import News
from crdtmem.sync.node import Node
from crdtmem.sync.outlet import Outlet
from crdtmem.sync.peer import host_and_port
from crdtmem.sync.websocket import TO_LISTEN, is_local, sides

log = logging.getLogger("crdtmem")

IDLE = 300.0  # seconds without a connection, and a namespace is closed
BUDGET = 4 << 20  # bytes a second from one connection
GATHER = 0.01  # seconds: what a busy connection sends within them is verified and stored together


class Relay:
    """Keeps and passes on the changes of any number of namespaces.

    Args:
        store: the path of its file, or a Store.
        listen: where peers dial, as "127.0.0.1:7400"; port 0 takes any, and `url` says which.
        issuer: the public key of who issues tokens; needed to listen where other machines can dial.
        revoked: a file with the ids of tokens that count no longer.
        tls: with a certificate.
        idle: after so many seconds without a connection a namespace is closed.
        budget: bytes a second that one connection may send for long.

    >>> import asyncio
    >>> from crdtmem import MemoryStore, Peer, Replica
    >>> async def main():
    ...     ann, bob = (Replica(name).open(tenant="acme") for name in ("ann", "bob"))
    ...     async with Relay(MemoryStore(), listen="127.0.0.1:0") as relay:
    ...         async with Peer(ann, dial=relay.url) as one:
    ...             _ = ann.set("facts").add("churn is 3.1 %")
    ...             await one.synced(timeout=10)
    ...         async with Peer(bob, dial=relay.url) as other:  # ann has left
    ...             await other.synced(timeout=10)
    ...     return sorted(bob.set("facts"))
    >>> asyncio.run(main())
    ['churn is 3.1 %']
    """

    def __init__(
        self,
        store: Store | str | os.PathLike[str],
        *,
        listen: str,
        issuer: bytes | None = None,
        revoked: str | os.PathLike[str] | None = None,
        tls: ssl.SSLContext | None = None,
        idle: float = IDLE,
        budget: float = BUDGET,
    ) -> None:
        self._path = store
        self._where = host_and_port(listen)
        self._tls, _ = sides(tls)
        if tls is not None and self._tls is None:
            raise MisuseError(f"tls= is made to dial with, and a relay listens; {TO_LISTEN}")
        self._idle = idle
        self._budget = budget
        self._door = None
        if issuer is not None:
            from crdtmem.sync.tokens import Door

            self._door = Door(issuer, revoked)
            if tls is None and not is_local(self._where[0]):
                log.warning("tokens travel in the clear: give the relay a certificate, or put it behind what has one")
        elif not is_local(self._where[0]):
            raise MisuseError(
                f"listen={listen!r} can be reached from other machines, and nothing says who may enter: issuer=..."
            )
        self._watches: list[Callable[[News], None]] = []
        self._count: Counter[str] = Counter()
        self._began = time.monotonic()
        self._since: dict[Outlet, float] = {}  # when the last connection was seen
        self._ends: dict[Outlet, Callable[[], None]] = {}
        self._node: Node | None = None
        ends = self._door.ends if self._door else lambda grant: None
        self.hub = Hub(os.urandom(16), "relay", self._told, self._admit, ends, self._find)
        if self._door is not None:
            self._door.failed = partial(self.hub.failed, self._door)
        self.url = ""

    async def __aenter__(self) -> Relay:
        if isinstance(self._path, str | os.PathLike):
            from crdtmem.sqlite import SqliteStore

            self._store: Store = SqliteStore(self._path)
        else:
            self._store = self._path
        self._node = Node(self.hub, self._told, None, self._budget, GATHER)
        self._node.each_second(self._tidy)
        self.hub.opened = self._opened
        try:
            self.url = await self._node.listen(*self._where, self._tls, self._answer)
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Hand out what is due, say Bye, let go of the file; closing twice does nothing."""
        node, self._node = self._node, None
        if node is None:
            return
        await node.close()
        for outlet in list(self.hub.outlets.values()):
            self._shut(outlet)
        if self._store is not self._path:
            self._store.close()

    def _admit(self, hello: Hello) -> tuple[Grant, str | None]:
        return (self._door.grant(hello.token) if self._door else EVERYTHING), None

    def _find(self, namespace: Namespace, writes: bool) -> Feed | None:  # noqa: FBT001
        known = getattr(self._store, "namespaces", None)
        if not writes and known is not None and namespace not in known():
            return None
        feed = ledger(namespace, self._store)
        self._count["opened"] += 1
        return feed

    def _told(self, news: News) -> None:
        self._count[news.kind] += 1
        for callback in list(self._watches):
            try:
                callback(news)
            except Exception:
                log.exception("a callback of watch() failed; its relay is unharmed")

    def watch(self, callback: Callable[[News], None]) -> Callable[[], None]:
        """Have this called, on the loop, with all that happens to connections; gives what ends it."""
        self._watches.append(callback)
        return lambda: self._watches.remove(callback)

    # -- housekeeping ------------------------------------------------------------------------------

    def _opened(self, outlet: Outlet) -> None:
        assert self._node is not None
        self._ends[outlet] = outlet.feed.watch(self._node.waker(outlet))

    def _tidy(self, now: float) -> None:
        """Close what nobody has asked for in a while."""
        for outlet in list(self.hub.outlets.values()):
            if outlet.links or outlet not in self._since:
                self._since[outlet] = now
            elif now - self._since[outlet] >= self._idle:
                self._shut(outlet)

    def _shut(self, outlet: Outlet) -> None:
        self._since.pop(outlet, None)
        self._ends.pop(outlet)()
        self.hub.drop(outlet)
        self._count["closed"] += 1

    # -- what can be asked of it by HTTP ---------------------------------------------------------------

    def figures(self) -> dict[str, float]:
        """How it is doing: connections, open namespaces, what was passed on and refused since it began."""
        links = list(self.hub.links)
        waiting = sum(outlet.feed.waiting for outlet in self.hub.outlets.values())
        return {
            "connections": sum(bool(link.peer) for link in links),
            "namespaces": len(self.hub.outlets),
            "waiting": waiting,
            "troubles": self.hub.troubles,
            "seconds": round(time.monotonic() - self._began, 3),
            "joined_total": self._count["joined"],
            "left_total": self._count["left"],
            "refused_total": self._count["refused"],
            "trouble_total": self._count["trouble"],
            "changes_in_total": self.hub.count["in"],
            "changes_out_total": self.hub.count["out"],
            "bytes_out_total": self.hub.count["bytes"],
        }

    def _answer(self, path: str) -> tuple[int, str] | None:
        if path == "/health":
            status, word = (503, "trouble") if self.hub.troubles else (200, "ok")  # what it is anybody could read here
            return status, json.dumps({"status": word, **self.figures()}) + "\n"
        if path == "/metrics":
            return 200, "".join(f"crdtmem_relay_{name} {value}\n" for name, value in self.figures().items())
        return None
