"""A peer for programs without an event loop: it runs on one in a thread of its own."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from crdtmem.change import Version
from crdtmem.errors import Closed, ForkedReplica, MisuseError
from crdtmem.memory import Memory
from crdtmem.sync.news import News
from crdtmem.sync.peer import Peer
from crdtmem.sync.presence import Present

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
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._process = os.getpid()

    def __enter__(self) -> BlockingPeer:
        self._process = os.getpid()
        loop = self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=_run, args=(loop,), name="crdtmem-peer", daemon=True)
        self._thread.start()
        try:
            self._run(self._peer.__aenter__())
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Hand out what is due, say Bye, and end the thread; closing twice does nothing."""
        if self._loop is not None and os.getpid() == self._process:
            try:
                self._run(self._peer.close())
            finally:
                self._stop()

    def _stop(self) -> None:
        loop, self._loop = self._loop, None
        assert loop is not None and self._thread is not None
        loop.call_soon_threadsafe(loop.stop)
        self._thread.join()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop is None:
            work.close()
            raise Closed("this peer has been closed; make a new one")
        if os.getpid() != self._process:
            work.close()
            raise ForkedReplica(
                "this peer runs in the process that opened it; open one of its own in the child process"
            )
        if threading.current_thread() is self._thread:
            work.close()
            raise MisuseError("a callback of watch() runs on the peer's own thread, which cannot wait for itself")
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
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
        """How many changes each connected peer that shares a memory has still to be sent, by its name."""
        return self._call(lambda: self._peer.behind(memory=memory))

    def synced(self, peers: int = 1, timeout: float | None = None) -> None:
        """Wait until so many peers have stored all that is here now, and all that they have now is here."""
        self._run(self._peer.synced(peers, timeout))

    def reached(self, version: Version | str, peers: int = 1, timeout: float | None = None) -> None:
        """Wait until so many peers have stored all of a version."""
        self._run(self._peer.reached(version, peers, timeout))

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

        return self._run(called())

    def watch(self, callback: Callable[[News], None]) -> Callable[[], None]:
        """Have this called, on the peer's thread, with all that happens to connections; gives what ends it."""
        return self._peer.watch(callback)


def _run(loop: asyncio.AbstractEventLoop) -> None:
    """Run until the loop is stopped."""
    try:
        loop.run_forever()
        loop.run_until_complete(_end_the_rest())
    finally:
        loop.close()


async def _end_the_rest() -> None:
    """End what is left on the loop: somebody may have connected at the last moment."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
