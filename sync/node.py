"""A hub on an event loop: its sockets, what goes out on them, dialling and dialling again, and the end of it all.

1. All of it runs on one loop. What is new in a memory is handed out in the turn of the loop in which it came, or, if
   it was written here, in the next: what comes together goes together. To many it goes less often: after 100 frames
   come 10 ms of rest, and what comes meanwhile goes in one.
2. Nothing is left behind: closing sends what is due, says Bye, and waits for every task.
3. Whoever is dialled is dialled again until the end, ever more seldom and never in step with others.
4. What one memory, connection or chore raises is told, and costs the others nothing: time goes on for them.
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

from crdtmem.errors import Closed, CrdtmemError, StoreError
from crdtmem.sync.access import EVERYTHING, Grant
from crdtmem.sync.frames import Welcome
from crdtmem.sync.hub import Hub
from crdtmem.sync.link import Link
from crdtmem.sync.news import News
from crdtmem.sync.outlet import Outlet
from crdtmem.sync.websocket import Answer, Listener, Socket, Unreachable, dialled, listening

log = logging.getLogger("crdtmem")

FIRST, SOON, LATE = 0.2, 2.0, 30.0  # seconds until a lost connection is dialled again, at most: at first, and at last
LASTING = 5.0  # seconds that a connection lasted, and it is dialled again as at first: others may break at once again
MINUTE = 60.0  # seconds that a connection may be lost, and it is still dialled again soon
LONGEST = 5.0  # seconds for which a connection is not listened to; longer, and it would be taken for dead
REST = 0.0001  # seconds for each frame that was handed out, ten times what it costs, until more of that memory is
GRAIN, LONGEST_REST = 0.001, 0.05  # seconds of rest: less is none, for the loop waits for whole milliseconds; at most
AT_ONCE = 100  # connections that are looked after in one turn of the loop, when nothing is known to be due
LINGER = 2.0  # seconds that closing takes to hand out what is due


class Node:
    """A hub at work.

    Args:
        hub: what is shared, and with whom.
        tell: takes news.
        tls: for what is dialled by wss://.
        budget: bytes a second that one connection may send for long; whoever sends more waits, and others do not.
        gather: seconds; what one connection sends sooner after the last is taken in together, when they are over.
    """

    def __init__(
        self,
        hub: Hub,
        tell: Callable[[News], None],
        tls: ssl.SSLContext | None,
        budget: float | None = None,
        gather: float = 0.0,
    ) -> None:
        self.hub = hub
        self._tell = tell
        self._tls = tls
        self._budget = budget
        self._gather = gather
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._sockets: dict[Link, Socket] = {}
        self._stirred: set[Outlet] = set()
        self._resting: set[Outlet] = set()  # those that are handed out when their rest is over
        self._busy: set[Link] = set()  # those to whom more will be sent in the next turn of the loop
        self._awake = False
        self._sent: asyncio.Event | None = None  # when closing: set once all is handed out
        self._tasks: set[asyncio.Task[None]] = set()
        self._servers: list[Listener] = []
        self._chores: list[Callable[[float], None]] = []
        self._going = True
        self._proving: set[Outlet] = set()
        hub.whole = self._whole
        hub.tick(self._loop.time())
        self.spawn(self._ticking())

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Have something done until it ends, or this does."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """Hand out what is due, say Bye, and end every task."""
        self._going = False
        for server in self._servers:
            server.close()
        self.work()
        if any(link.lags for link in self.hub.links):
            self._sent = asyncio.Event()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._sent.wait(), LINGER)
        for link in list(self.hub.links):
            link.session.end("bye", "this peer has closed")
            self.pump(link)
        await asyncio.gather(*[socket.close() for socket in self._sockets.values()], return_exceptions=True)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for server in self._servers:
            await server.wait_closed()

    def _whole(self, outlet: Outlet) -> None:
        """Prove what a checkpoint showed, in a thread: it takes a while."""
        if outlet not in self._proving:
            self._proving.add(outlet)
            self.spawn(self._prove(outlet))

    async def _prove(self, outlet: Outlet) -> None:
        try:
            self.hub.proved(outlet, await asyncio.to_thread(outlet.feed.prove, lambda: self._going))
        except CrdtmemError as error:
            self._tell(News("trouble", self.hub.name, outlet.feed.namespace.digest, str(error)))
        finally:
            self._proving.discard(outlet)

    # -- what is new goes out ----------------------------------------------------------------------

    def waker(self, outlet: Outlet) -> Callable[[], None]:
        """What to call when a memory has grown: in any thread, and with the memory locked."""

        def woken() -> None:
            self._stirred.add(outlet)
            if not self._awake:
                self._awake = True
                if threading.get_ident() == self._thread:
                    self._loop.call_soon(self._stir)
                else:
                    with suppress(RuntimeError):  # the loop has ended: nobody is there to be told
                        self._loop.call_soon_threadsafe(self._stir)

        return woken

    def _stir(self) -> None:
        """Hand out what is new to those who share it."""
        self._awake = False
        stirred = list(self._stirred)
        self._stirred.difference_update(stirred)  # who adds one after this finds `_awake` unset, and calls again
        for outlet in stirred:
            rest = outlet.rests - self._loop.time()
            if rest < GRAIN:
                self._try(outlet, self._hand_out, outlet)
            elif outlet not in self._resting:
                self._resting.add(outlet)
                self._loop.call_later(rest, self._rested, outlet)

    def _rested(self, outlet: Outlet) -> None:
        if outlet in self._resting:
            self._try(outlet, self._hand_out, outlet)

    def _hand_out(self, outlet: Outlet) -> None:
        """Hand out what is new in one memory; then it rests, so that this takes but a small part of the time."""
        self._resting.discard(outlet)
        before = outlet.newest
        if outlet.refresh() and self._sent is None:
            frames = self._fan_out(outlet, before)
            outlet.rests = self._loop.time() + min(frames * REST, LONGEST_REST)
        else:  # somebody has looked before, or this is the end
            for link in list(outlet.links):
                self.pump(link)

    def _fan_out(self, outlet: Outlet, after: int) -> int:
        """Hand out what has come behind a place, each stretch as one frame to all who have all until there; how often.

        The others are pumped, last: who lags has its own stretches, and the next one is read once for all who do not.
        Who has no room is pumped when there is some again: those who never read cost the others nothing.
        """
        links, others, count, frames = list(outlet.links.items()), [], self.hub.count, 0
        while links and after < outlet.newest:
            try:
                (upto, records), frame = outlet.read(after, outlet.newest)
            except StoreError as error:  # each of them lags now, and is looked at again in a second
                outlet.failed(str(error))
                break
            even = []
            for link, channel in links:
                socket = self._sockets.get(link)
                if socket is None or not socket.room:
                    continue
                if frame and link.follows(channel, after, upto):
                    socket.send(frame)
                    even.append((link, channel))
                else:
                    others.append(link)
            frames += len(even)
            count["out"] += len(even) * len(records)
            count["bytes"] += len(even) * len(frame)
            links, after = even, upto
        for link in others:
            self.pump(link)
        return frames

    def work(self) -> None:
        """Hand out what is new, and what is to be said besides."""
        self.hub.refresh()
        for link in list(self.hub.links):
            self.pump(link)

    def pump(self, link: Link) -> None:
        """Put on the wire what is to go to one peer, as far as there is room."""
        socket = self._sockets.get(link)
        if socket is None:
            return
        room = socket.room
        more = room > 0 and self._try(link, link.pump, room)
        for data in link.session.data_to_send():
            socket.send(data)
        if more and link not in self._busy and socket.room:  # else there will be room again, and this is called
            self._busy.add(link)
            self._loop.call_soon(self._go_on, link)
        if link.session.ended is not None:
            self.spawn(socket.close())
        if self._sent is not None and not any(link.lags for link in self.hub.links):
            self._sent.set()

    def _go_on(self, link: Link) -> None:
        self._busy.discard(link)
        self.pump(link)

    def each_second(self, what: Callable[[float], None]) -> None:
        """Have this called about once a second."""
        self._chores.append(what)

    async def _ticking(self) -> None:
        while True:
            await asyncio.sleep(1)
            await self.second()

    async def second(self) -> None:
        """About a second has passed."""
        now = self._loop.time()
        for outlet in list(self.hub.outlets.values()):
            self._try(outlet, self.hub.look_at, outlet)
        for chore in (self.hub.renew, *self._chores):
            self._try(chore, chore, now)
        self._stir()
        for number, link in enumerate(list(self.hub.links), 1):
            self._try(link, self.hub.tend, link, now)
            self.pump(link)
            if not number % AT_ONCE:
                await asyncio.sleep(0)  # of thousands, the others need not wait for the last

    def _try(self, what: object, work: Callable[..., bool | None], *given: object) -> bool:
        """Do something for one memory, connection or chore; what it gives. What it raises is told (rule 4)."""
        try:
            return bool(work(*given))
        except Exception as error:
            self._failed(what, error)
            return False

    def _failed(self, what: object, error: Exception) -> None:
        anew = self.hub.failed(what, str(error) or type(error).__name__)
        if anew and not isinstance(error, CrdtmemError):
            log.error("a fault of this program, please report it; the peer goes on", exc_info=error)

    # -- connections -------------------------------------------------------------------------------

    async def listen(
        self, host: str, port: int, tls: ssl.SSLContext | None = None, answer: Answer = lambda path: None
    ) -> str:
        """Let others dial; gives the address. `answer` is asked when somebody comes for a page instead."""
        server, url = await listening(host, port, tls, self._enter, answer)
        self._servers.append(server)
        return url

    async def _enter(self, socket: Socket) -> None:
        """Somebody has dialled."""
        await self._converse(self.hub.link(dials=False, now=self._loop.time()), socket)

    async def dial(
        self,
        url: str,
        token: str | None = None,
        trusts: Callable[[Welcome], bool] = lambda welcome: True,
        grant: Grant = EVERYTHING,
    ) -> Link:
        """One connection to a peer that listens, until it ends; it has no `peer` if it was not let in.

        Raises:
            Unreachable: nobody listens there.
        """
        socket = await dialled(url, self._tls if url.startswith("wss") else None)
        link = self.hub.link(dials=True, now=self._loop.time(), token=token, trusts=trusts, grant=grant)
        await self._converse(link, socket)
        return link

    async def keep(self, url: str, token: str | None) -> None:
        """Dial, and dial again when the connection is lost; soon only if it had lasted. Whatever fails, it goes on."""
        pause, lost, peer = FIRST, self._loop.time(), b""
        while True:
            if peer and any(link.peer == peer for link in self.hub.links):
                await asyncio.sleep(SOON)  # it was reached by another address of its, or has come by itself
                continue
            began = self._loop.time()
            try:
                link = await self.dial(url, token)
                peer = link.peer or peer
                if link.peer and self._loop.time() - began >= LASTING:
                    pause, lost = FIRST, self._loop.time()
            except Unreachable as error:
                self._tell(News("unreachable", url, None, str(error)))
            except Exception as error:
                self._tell(News("trouble", url, None, f"dialling failed, and is tried again: {error!r}"))
            await asyncio.sleep(random.uniform(0, pause))
            pause = min(pause * 2, SOON if self._loop.time() - lost < MINUTE else LATE)

    async def _converse(self, link: Link, socket: Socket) -> None:
        """Keep a connection going until it ends."""
        self._sockets[link] = socket
        spent, since = 0.0, self._loop.time()

        gathered: list[bytes] = []
        due = 0.0

        def gather(messages: list[bytes]) -> None:
            waits = bool(gathered)
            gathered.extend(messages)
            if self._loop.time() >= due or len(messages) > 1:
                flush()
            elif not waits:
                self._loop.call_at(due, flush)

        def flush() -> None:
            nonlocal due
            due = self._loop.time() + self._gather
            messages = gathered[:]
            gathered.clear()
            if messages and link in self._sockets:
                take(messages)

        def take(messages: list[bytes]) -> None:
            nonlocal spent, since
            self._hear(link, messages)
            if link.peer:
                socket.let_in()
            rest, link.pause = min(link.pause, LONGEST), 0.0
            if self._budget:
                now = self._loop.time()
                spent = max(0.0, spent - (now - since) * self._budget) + sum(map(len, messages))
                since, rest = now, max(rest, spent / self._budget - 2)
            if link.session.ended is not None:
                socket.end()
            else:
                socket.rest(rest)

        try:
            self.pump(link)
            await socket.run(gather if self._gather else take, partial(self.pump, link))
        finally:
            flush()
            del self._sockets[link]
            self.hub.gone(link)
            await socket.close()

    def _hear(self, link: Link, messages: list[bytes]) -> None:
        """Take in what has arrived, and hand out what is new by that: to all at once, and in this turn of the loop."""
        self._awake = True
        try:
            self.hub.receive(link, *messages)
        except Closed:
            link.session.end("trouble", "a memory has been closed here")
        except Exception as error:  # what it says may name files, and is told here alone
            self._failed(link, error)
            link.session.end("trouble", "something does not work here just now; dial again")
        finally:
            self._stir()
        self.pump(link)
        while self.hub.spoken:
            self.pump(self.hub.spoken.pop())
