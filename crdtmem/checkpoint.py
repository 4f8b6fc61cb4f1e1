"""Checkpoints: states kept on the shelf of a log, so that opening need not replay all of it.

A checkpoint is some parts and, written last, a manifest: how many parts, the digest of the state, a hash of all. It
counts once its parts have been read back and their hash is right. Three are kept; opening takes the newest that is
whole and whose state has the digest it had, and falls back to an older one, at last to the log alone.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from hashlib import blake2b
from itertools import chain
from math import inf

from msgspec import DecodeError
from msgspec.msgpack import Decoder

from crdtmem.clock import moment
from crdtmem.errors import BadBytes, CrdtmemError, StoreError
from crdtmem.snapshot import Snapshot, restore
from crdtmem.state import State
from crdtmem.store import Log
from crdtmem.values import encode

log = logging.getLogger("crdtmem")
KEPT = 3
PART = 128 * 1024
EVERY = 16384  # changes, or half as many as there are live entries: what making one costs stays small beside them
_FOLDER = "checkpoint/"
_MANIFEST = Decoder(tuple[int, int, int, int, bytes, int, bytes]).decode


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint as it is kept: when it was made, after how many changes, and how large it is."""

    at: datetime
    changes: int
    size: int
    place: int  # of the last record it covers


class Checkpoints:
    """The checkpoints of one log.

    Args:
        kept_in: the log.
        lock: that of its memory; held only for moments.
        snapshot: gives the state, the place of the last record in it, and a stamp above all in it.
        by_itself: whether one is due as the log grows.
    """

    def __init__(
        self,
        kept_in: Log,
        lock: threading.RLock,
        snapshot: Callable[[], tuple[Snapshot, int, int]],
        *,
        by_itself: bool,
    ) -> None:
        self._log = kept_in
        self._lock = lock
        self._snapshot = snapshot
        self._by_itself = by_itself
        self.owner: str | None = None  # of the namespace
        self.making = threading.RLock()  # taken before the memory's, never after it
        self._maker: threading.Thread | None = None
        self._last = 0  # how many changes the newest one covers
        self.due = inf  # after so many changes the next one

    def done(self, state: State) -> None:
        """A checkpoint of this state is there: the next one is due in a while."""
        self._last = state.count
        self.due = self._last + _interval(state) if self._by_itself else inf

    def soon(self) -> None:
        """Make one in the background."""
        self.due *= 2  # should it fail
        gently = partial(self.attempt, lambda: time.sleep(0.0005))  # whoever writes goes first
        self._maker = threading.Thread(target=gently, name="crdtmem-checkpoint", daemon=True)
        self._maker.start()

    def soon_due(self) -> None:
        """What opening had to do again need not be done a second time."""
        self.due = 0 if self._by_itself else inf

    def at_opening(self, state: State) -> None:
        """Make one if it is due: processes may come and go too soon for one in the background."""
        if state.count >= self.due:
            self.attempt()

    def at_close(self, state: State) -> None:
        """Make one if enough came since the last. The caller holds `making` and the lock."""
        if self._by_itself and 4 * (state.count - self._last) >= _interval(state):
            self.attempt()

    def drop(self) -> None:
        """Let go of all: they hold what was not so."""
        for name in sorted((name for name in self._log.names() if name.startswith(_FOLDER)), key=len):
            self._log.drop(name)

    def attempt(self, pause: Callable[[], None] = lambda: None) -> None:
        """Make one; if that fails, opening takes longer."""
        try:
            self.make(pause)
        except (CrdtmemError, OSError) as error:
            log.warning("no checkpoint was made: %s", error)

    def join(self) -> None:
        """Wait for the one that is being made."""
        if self._maker is not None:
            self._maker.join()

    def kept(self) -> list[Checkpoint]:
        """Those that are kept, newest first."""
        found = []
        for name in self._names():
            with self._lock:
                data = self._log.get(name)
            with suppress(BadBytes):
                place, hlc, _, size, _, count, _ = _manifest(data)
                found.append(Checkpoint(moment(hlc), count, size, place))
        return found

    def newest(
        self, namespace: bytes, fits: Callable[[State], bool] = lambda state: True
    ) -> tuple[State, int, int] | None:
        """The state of the newest that is sound, the place of the last record in it, and the clock as it was.

        Args:
            namespace: whose it is.
            fits: whether a state will do.
        """
        for name in self._names():
            try:
                found = self._read(name, namespace)
                if fits(found[0]):
                    return found
            except BadBytes as error:
                log.warning("a checkpoint is damaged and left out: %s", error)
        return None

    def _read(self, name: str, namespace: bytes) -> tuple[State, int, int]:
        manifest = _manifest(self._log.get(name))
        place, hlc, parts, _, digest, _, hash = manifest
        data = b"".join(self._parts(name, parts))
        if blake2b(data + encode(manifest[:-1]), digest_size=32).digest() != hash:
            raise BadBytes("a part of it")
        return restore(data, namespace, self._log, digest, self.owner), place, hlc

    def _parts(self, name: str, count: int) -> Iterator[bytes]:
        for number in range(count):
            part = self._log.get(f"{name}/{number:06}")
            if part is None:
                raise BadBytes("a part of it")
            yield part

    def make(self, pause: Callable[[], None] = lambda: None) -> Checkpoint:
        """Write one, read it back, and let go of the oldest.

        Args:
            pause: called between pieces, outside the lock.

        Raises:
            StoreError: it could not be written, or not read back.
        """
        with self.making:
            snapshot, place, hlc = self._snapshot()
            self.done(snapshot.state)
            self._write(snapshot, place, hlc, pause)
            return self.kept()[0]

    def _write(self, snapshot: Snapshot, place: int, hlc: int, pause: Callable[[], None]) -> None:
        newest = self._names()[:1]
        name = f"{_FOLDER}{int(newest[0].removeprefix(_FOLDER)) + 1 if newest else 1:016}"
        hash = blake2b(digest_size=32)
        parts = size = 0
        waiting = bytearray()
        for piece in chain(snapshot.pieces(), [b""]):
            waiting += piece
            if len(waiting) >= PART or (not piece and waiting):
                data = bytes(waiting)
                waiting.clear()
                hash.update(data)
                with self._lock:
                    self._log.put(f"{name}/{parts:06}", data)
                parts += 1
                size += len(data)
            pause()
        again = blake2b(digest_size=32)
        for number in range(parts):
            with self._lock:
                again.update(self._log.get(f"{name}/{number:06}") or b"")
            pause()
        if again.digest() != hash.digest():
            raise StoreError("a checkpoint did not read back as it was written; the log is unharmed")
        told = (place, hlc, parts, size, snapshot.digest, snapshot.count)
        hash.update(encode(told))
        with self._lock:
            self._log.put(name, encode((*told, hash.digest())))
        self._tidy(pause)

    def _tidy(self, pause: Callable[[], None]) -> None:
        """Drop all but the newest, and the parts of those that were never finished."""
        with self._lock:
            whole = self._names()[:KEPT]
            stale = [n for n in self._log.names() if n.startswith(_FOLDER) and n[: len(_FOLDER) + 16] not in whole]
        for name in sorted(stale, key=len):  # manifests first
            with self._lock:
                self._log.drop(name)
            pause()

    def _names(self) -> list[str]:
        size = len(_FOLDER) + 16
        with self._lock:
            return sorted((n for n in self._log.names() if n.startswith(_FOLDER) and len(n) == size), reverse=True)


def _manifest(data: bytes | None) -> tuple[int, int, int, int, bytes, int, bytes]:
    try:
        return _MANIFEST(data or b"")
    except DecodeError:
        raise BadBytes("its manifest") from None


def _interval(state: State) -> int:
    return max(EVERY, state.live() // 2)
