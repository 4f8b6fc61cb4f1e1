"""Clients with a document behind them: they take in what a server has, and say how many lines of its log they hold."""

from __future__ import annotations

import asyncio
import time
from contextlib import closing
from typing import Any

from pycrdt import Array, Doc, handle_sync_message

from benchmarks.crowd import STEP_1_IN_ANSWER, STEP_2, UPDATE, Dialect, YReader
from crdtmem import Namespace, Peer, Replica

_PATIENCE = 60.0  # seconds: only a failure takes them
_SILENCE = 1.0  # seconds without news, and a server of theirs has said what it knows


class YMirror(YReader):
    """One of theirs that holds the document."""

    def __init__(self, url: str, dialect: Dialect) -> None:
        super().__init__(url, dialect)
        self._doc: Any = Doc()
        self._log = self._doc.get("log", type=Array)
        self.greet()
        self.heard(self.wait())

    def heard(self, message: bytes) -> None:
        """Take in one message."""
        if message[:2] in (STEP_2, UPDATE):
            handle_sync_message(message[1:], self._doc)
        elif message[:2] == STEP_1_IN_ANSWER:
            self.say(STEP_2 + b"\2\0\0")

    def take(self) -> int:
        """Take in what has arrived; how many lines are here."""
        for data in self.wire.take():
            self.heard(data.removeprefix(self.dialect.before))
        return len(self._log)

    def await_lines(self, wanted: int, patience: float) -> int:
        """Until so many lines are here, or none has come for so many seconds; how many there are."""
        here, until = self.take(), time.monotonic() + patience
        while here < wanted and (left := until - time.monotonic()) > 0:
            self.wire.waits(left)
            before, here = here, self.take()
            if here > before:
                until = time.monotonic() + patience
        return here


def first_sync(url: str, speech: Namespace | Dialect, wanted: int) -> tuple[int, float]:
    """Join as a newcomer who has nothing; how many lines are here then, and the seconds it took to read them all.

    Args:
        url: of the server.
        speech: how it is spoken to.
        wanted: a server of theirs does not say that it has told all: whoever has so many lines waits for no more.
    """
    began = time.perf_counter()
    if isinstance(speech, Namespace):
        return asyncio.run(_joined(url, speech)), time.perf_counter() - began
    with closing(YMirror(url, speech)) as mirror:
        return mirror.await_lines(wanted, _SILENCE), time.perf_counter() - began


async def _joined(url: str, namespace: Namespace) -> int:
    memory = Replica("newcomer").open(namespace)
    async with Peer(memory, dial=url) as peer:
        await peer.synced(timeout=_PATIENCE)
        return len(memory.sequence("log"))
