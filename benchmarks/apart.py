"""Processes of their own, told what to do through a pipe; and what one has cost: processor time and memory."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Any

PATIENCE = 120.0  # seconds for an answer: only a failure takes them


class Silent(Exception):
    """A process has not answered."""


class Apart:
    """A function that runs in a process of its own, with one end of a pipe as its first argument.

    Args:
        work: the function, found by its name in its module.
        given: its other arguments.
    """

    def __init__(self, work: Callable[..., None], *given: Any) -> None:
        spawn = get_context("spawn")  # nobody inherits a store
        self._end, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_work, args=(work, theirs, *given), daemon=True)
        self._process.start()
        theirs.close()  # so that its death is heard
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    def tell(self, what: object) -> None:
        """Say what to do."""
        self._end.send(what)

    def hear(self, patience: float = PATIENCE) -> Any:
        """Wait for an answer.

        Raises:
            Silent: there is none.
        """
        try:
            if self._end.poll(patience):
                return self._end.recv()
        except (EOFError, OSError):
            pass
        raise Silent(f"{self._process.name} has not answered")

    def ask(self, what: object) -> Any:
        """Say what to do, and wait for the answer."""
        self.tell(what)
        return self.hear()

    def close(self) -> None:
        """Let it end; it ends when its pipe does, or is ended."""
        self._end.close()
        self._process.join(5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def __enter__(self) -> Apart:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _work(work: Callable[..., None], *given: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever has started this, and lets it end
    work(*given)


def told(end: Connection) -> Any:
    """What a process is told next; the process ends when nobody is there to tell."""
    try:
        return end.recv()
    except (EOFError, OSError):
        raise SystemExit(0) from None


def spent(pid: int) -> int:
    """Nanoseconds of processor time that a process has taken, with all its threads, those that have ended too."""
    return time.clock_gettime_ns((~pid << 3) | 2)  # what clock_getcpuclockid(3) gives on Linux


def family(pids: Iterable[int]) -> set[int]:
    """Processes with all that they have started, and those in turn."""
    below: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            below.setdefault(int(stat.read_text().rpartition(")")[2].split()[1]), []).append(int(stat.parent.name))
    found, due = set[int](), list(pids)
    while due:
        if (pid := due.pop()) not in found:
            found.add(pid)
            due += below.get(pid, [])
    return found


def proportional(pids: Iterable[int]) -> int:
    """Bytes of memory that processes hold, what several share counted once."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total


def resident(pid: int) -> int:
    """Bytes of memory that a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
