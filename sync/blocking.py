"""A peer for programs without an event loop: it lives on one in a thread of its own.

1. That thread enters the peer, and closes it, however it comes to its end: it always says Bye.
2. Nobody waits for ever: when the thread has ended, so has every call.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from typing import Any, TypeVar

from crdtmem.change import Version
from crdtmem.errors import Closed, ForkedReplica, MisuseError
from crdtmem.memory import Memory
from crdtmem.sync.news import News
from crdtmem.sync.peer import Peer
from crdtmem.sync.presence import Present
from crdtmem.sync.sigterm import heed

T = TypeVar("T")


class BlockingPeer:
    """What `Peer(...).blocking()` gives: the same names, and calls that wait.

    >>> from crdtmem import Peer, Replica
    >>> ann, bob = (Replica(name).open(tenant="acme") for name in ("ann", "bob"))
    >>> with Peer(ann, listen="127.0.0.1:0").blocking() as one, Peer(bob, dial=[one.url]).blocking() as other:
    ...     _ = bob.counter("tokens").add(1200)
    ...     other.synced(timeout=10)
    ...     one.connected, ann.counter("tokens").value
    (['bob'], 1200)
    """

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._process = os.getpid()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop
        self._heeded: Callable[[], None] = lambda: None
        self._over = asyncio.Event()
        self._begun: Future[None] = Future()
        self._ended: Future[None] = Future()

    def __enter__(self) -> BlockingPeer:
        return self.start()

    def start(self) -> BlockingPeer:
        """Begin without a `with` block, as in a shell or a notebook; `close()` ends it, and so does the process.

        >>> from crdtmem import Peer, Replica
        >>> peer = Peer(Replica("ann").open(tenant="acme"), listen="127.0.0.1:0").blocking().start()
        >>> peer.connected
        []
        >>> peer.close()
        """
        with self._starting:
            if self._thread is None:
                self._process = os.getpid()
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._live, name="crdtmem-peer", daemon=True)
                self._thread.start()
                atexit.register(self.close)
                self._heeded = heed()
        self._at_work()
        try:
            wait((self._begun, self._ended), return_when=FIRST_COMPLETED)
        except BaseException:
            self.close()
            raise
        if self._ended.done():
            self.close()  # tells why it could not begin
            raise MisuseError("a peer is entered once; make a new one")
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Hand out what is due, say Bye, and end the thread; closing twice does nothing.

        A callback of `watch` has it closed once it returns.
        """
        if self._thread is None or os.getpid() != self._process:
            return
        with suppress(RuntimeError):  # it has ended already
            self._loop.call_soon_threadsafe(self._over.set)
        if threading.current_thread() is self._thread:
            return
        failed = self._ended.exception()  # waits; after an interrupt here it ends all the same, and the process waits
        self._thread.join()
        atexit.unregister(self.close)
        self._heeded()
        if failed is not None:
            raise failed

    def _live(self) -> None:
        """The thread, from beginning to end."""
        try:
            try:
                self._loop.run_until_complete(self._enter())
            finally:
                self._loop.run_until_complete(_end_the_rest())
                self._loop.close()
        except BaseException as error:
            self._ended.set_exception(error)
        else:
            self._ended.set_result(None)

    async def _enter(self) -> None:
        async with self._peer:
            self._begun.set_result(None)
            await self._over.wait()

    def _at_work(self) -> asyncio.AbstractEventLoop:
        """The loop it is on, if this is where it can be asked."""
        if self._thread is None:
            raise MisuseError("this peer has not been started: use it inside `with`, or call start()")
        if os.getpid() != self._process:
            raise ForkedReplica(
                "this peer runs in the process that opened it; open one of its own in the child process"
            )
        if threading.current_thread() is self._thread:
            raise MisuseError("a callback of watch() runs on the peer's own thread, which cannot wait for itself")
        return self._loop

    def _run(self, what: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Have something done on its loop, and wait for it."""
        loop, work = self._at_work(), what()
        try:
            future = asyncio.run_coroutine_threadsafe(work, loop)
        except RuntimeError:
            work.close()
            raise Closed("this peer has been closed; make a new one") from None
        either: set[Future[Any]] = {future, self._ended}
        try:
            wait(either, return_when=FIRST_COMPLETED)
            if not future.done() or future.cancelled():
                work.close()  # else Python complains of what was never begun
                raise Closed("this peer has been closed")
            return future.result()
        except BaseException:
            future.cancel()
            raise

    @property
    def url(self) -> str:
        """Where others may dial; empty if it does not listen."""
        return self._peer.url

    @property
    def connected(self) -> list[str]:
        """The names of the peers that are connected."""
        return self._peer.connected

    def behind(self, *, memory: Memory | None = None) -> dict[str, int]:
        """How many changes each connected peer that shares a memory has still to be sent at most, by its name."""
        return self._call(lambda: self._peer.behind(memory=memory))

    def synced(self, peers: int = 1, timeout: float | None = None) -> None:
        """Wait until so many peers have stored all that is here now, and all that they have now is here."""
        self._run(lambda: self._peer.synced(peers, timeout))

    def reached(self, version: Version | str, peers: int = 1, timeout: float | None = None) -> None:
        """Wait until so many peers have stored all of a version."""
        self._run(lambda: self._peer.reached(version, peers, timeout))

    def here(self, doing: str | None = None, *, field: str | None = None, memory: Memory | None = None) -> None:
        """Tell the team that the agent of a memory is there, and what it does, until `away` or the peer closes."""
        self._call(lambda: self._peer.here(doing, field=field, memory=memory))

    def away(self, *, memory: Memory | None = None) -> None:
        """Tell the team that the agent of a memory is there no more."""
        self._call(lambda: self._peer.away(memory=memory))

    def present(self, *, memory: Memory | None = None) -> list[Present]:
        """Who is there: what agents of all peers that share the memory have said of themselves."""
        return self._call(lambda: self._peer.present(memory=memory))

    def _call(self, what: Callable[[], T]) -> T:
        if threading.current_thread() is self._thread:
            return what()

        async def called() -> T:
            return what()

        return self._run(called)

    def watch(self, callback: Callable[[News], None]) -> Callable[[], None]:
        """Have this called, on the peer's thread, with all that happens to connections; gives what ends it."""
        return self._peer.watch(callback)


async def _end_the_rest() -> None:
    """End what is left on the loop: somebody may have connected at the last moment."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
