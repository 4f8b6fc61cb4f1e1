"""Several processes that do the same at once: how long one of their operations takes, counted over all of them."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from benchmarks.harness import Run

Worker = Callable[[int], object]  # does the operation of that number
Start = Callable[..., Worker]


def race(start: Start, arguments: Sequence[tuple[Any, ...]], seconds: float) -> Run:
    """A process for each of these arguments, made ready; the run lets all work for that time.

    The run gives the nanoseconds that one operation takes: the time over the sum of all that was done.
    """
    spawn = get_context("spawn")  # nobody inherits a store
    ends: list[Connection] = []
    processes = []
    for given in arguments:
        ours, theirs = spawn.Pipe()
        process = spawn.Process(target=_work, args=(start, given, seconds, theirs), daemon=True)
        process.start()
        ends.append(ours)
        processes.append(process)
    for end in ends:
        end.recv()  # it is ready

    def run() -> int:
        for end in ends:
            end.send(None)
        done: int = sum([end.recv() for end in ends])
        for process in processes:
            process.join()
        return round(seconds * 1e9 / done)

    return run


def _work(start: Start, given: tuple[Any, ...], seconds: float, end: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever has started this
    work = start(*given)
    work(0)
    end.send(None)
    end.recv()
    done, over = 0, time.perf_counter() + seconds
    while time.perf_counter() < over:
        done += 1
        work(done)
    end.send(done)
