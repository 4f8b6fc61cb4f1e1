"""SIGTERM: a program with an open peer ends in order, where it has not said itself what SIGTERM is to do.

1. Nothing is taken from the program. The handler is there only while a peer is open that the main thread opened, and
   only where there was none; one that the program sets later stays.
2. It ends the program with SystemExit(143): on an event loop once its peers are closed, otherwise in the main thread,
   whose `with` blocks then close theirs.
3. It does so once: whoever says it twice, as timeout(1) does, breaks nothing off. Who says it again some seconds later
   is not heeded by the program, and ends it at once.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any

Leave = Callable[[], Coroutine[Any, Any, None]]

PATIENCE = 5.0  # seconds: closing takes less

_open: dict[object, tuple[asyncio.AbstractEventLoop, Leave] | None] = {}
_process = 0  # in which they are open: a forked child has none of them
_told: float | None = None  # when it was told to end


def heed(leave: Leave | None = None) -> Callable[[], None]:
    """Have SIGTERM end a peer in order from now on; gives what ends that.

    Args:
        leave: closes it, on the loop that runs now; without it, the end of the main thread does.
    """
    global _process, _told
    free = signal.getsignal(signal.SIGTERM) in (signal.SIG_DFL, _terminated)
    if not free or threading.current_thread() is not threading.main_thread():
        return lambda: None
    if os.getpid() != _process:
        _open.clear()
        _process = os.getpid()
    if not _open:
        _told = None
    key = object()
    _open[key] = None if leave is None else (asyncio.get_running_loop(), leave)
    signal.signal(signal.SIGTERM, _terminated)

    def over() -> None:
        _open.pop(key, None)
        alone = not _open and threading.current_thread() is threading.main_thread()
        if alone and signal.getsignal(signal.SIGTERM) is _terminated:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    return over


def _terminated(number: int, frame: FrameType | None) -> None:
    global _told
    if not _open or os.getpid() != _process or (_told is not None and time.monotonic() - _told > PATIENCE):
        signal.signal(number, signal.SIG_DFL)  # as if no peer had ever been open here
        os.kill(os.getpid(), number)
    elif _told is None:
        _told = time.monotonic()
        running = [one for one in _open.values() if one is not None and one[0].is_running()]
        if not running:
            raise SystemExit(128 + number)
        running[0][0].call_soon_threadsafe(_leave, [leave for _, leave in running])  # a thread runs one loop at a time


def _leave(leaves: list[Leave]) -> None:
    closing = asyncio.gather(*[leave() for leave in leaves], return_exceptions=True)
    closing.add_done_callback(_exit)


def _exit(_: object) -> None:
    raise SystemExit(128 + signal.SIGTERM)  # from no task: that would be told as an error of its own
