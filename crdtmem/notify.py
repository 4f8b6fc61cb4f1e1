"""Telling watchers: one Batch per change of ours or received batch, in order, outside every lock (invariant 10).

A callback runs on the event loop it was registered from, otherwise on the replica's one notifier thread. What it
raises is logged and never reaches the writer.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crdtmem.change import Version
from crdtmem.entry import Entry

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

log = logging.getLogger("crdtmem")
_FAILED = "a callback of changed() failed; its memory is unharmed"
Callback = Callable[["Batch"], object]


@dataclass(frozen=True, slots=True)
class Batch:
    """What one change of ours, or one received batch, did.

    `tainted` names the live entries that fell with a retraction: all of them, however long the chain.
    """

    version: Version
    fields: frozenset[str]
    added: tuple[Entry, ...]
    removed: tuple[Entry, ...]
    changes: int
    local: bool
    tainted: tuple[Entry, ...] = ()


class Watch:
    """A registered callback; closing it, or leaving its `with` block, ends it."""

    def __init__(self, callback: Callback, fields: Collection[str] | None, drop: Callable[[Watch], None]) -> None:
        from asyncio import get_running_loop  # not above: it costs importers who never watch a tenth of their time

        self._callback = callback
        self._fields = None if fields is None else frozenset(fields)
        self._drop = drop
        try:
            self._loop: AbstractEventLoop | None = get_running_loop()
        except RuntimeError:
            self._loop = None
        self.closed = False

    def wants(self, batch: Batch) -> bool:
        """Whether the batch touches a field it asked for."""
        if self._fields is None or not self._fields.isdisjoint(batch.fields):
            return True
        return any(entry.field in self._fields for entry in batch.tainted)

    def close(self) -> None:
        """No batch is delivered after this; closing twice does nothing."""
        self.closed = True
        self._drop(self)

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def deliver(self, batch: Batch) -> None:
        """Run the callback where it belongs."""
        if self._loop is None:
            self._run(batch)
            return
        try:
            self._loop.call_soon_threadsafe(self._run, batch)
        except RuntimeError:  # the loop is closed: nobody listens any more
            self.close()

    def _run(self, batch: Batch) -> None:
        if not self.closed:
            try:
                self._callback(batch)
            except Exception:
                log.exception(_FAILED)


class Notifier:
    """The one thread of a replica that runs callbacks; started by the first batch."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[tuple[Watch, Batch] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()

    def put(self, watch: Watch, batch: Batch) -> None:
        """Have the batch delivered, after all that were put before it."""
        if self._thread is None:
            with self._starting:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._deliver, name="crdtmem-notifier", daemon=True)
                    self._thread.start()
        self._queue.put((watch, batch))

    def close(self) -> None:
        """Deliver what was put, then end the thread."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            if thread is not threading.current_thread():
                thread.join()

    def _deliver(self) -> None:
        while (item := self._queue.get()) is not None:
            try:
                item[0].deliver(item[1])
            except BaseException:  # sys.exit() in one callback must not silence the others
                log.exception(_FAILED)
