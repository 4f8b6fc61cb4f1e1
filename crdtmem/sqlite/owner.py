"""Who owns a file: one process, held by a lock on a file beside it that tells who.

The lock goes with the process, however it ends, so the side file decides nothing by being there. Whoever lets go
removes it first; whoever gets the lock looks whether the file it locked is still the one with that name.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from typing import Any

from crdtmem.errors import StoreError

SUFFIX = "-owner"


class Owner:
    """The right to write a file, until `release` or the end of this process.

    Args:
        path: the file, as `os.path.realpath` names it.

    Raises:
        StoreError: someone has it, or the side file cannot be made.
    """

    def __init__(self, path: str) -> None:
        self._side = path + SUFFIX
        self._fd = self._take(path)
        about = {"pid": os.getpid(), "host": socket.gethostname(), "since": _stamp()}
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, json.dumps(about).encode(), 0)

    def _take(self, path: str) -> int:
        while True:
            try:
                fd = os.open(self._side, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            except OSError as error:
                raise StoreError(
                    f"{path} cannot be owned: {self._side}: {error.strerror}; "
                    "where nothing may be written, SqliteStore(path, readonly=True) reads it"
                ) from error
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                os.close(fd)
                raise StoreError(
                    f"{path} is owned by {_tell(self._side)}: one file per agent. Give this agent a file of its own "
                    "and share with Peer, or read this one with SqliteStore(path, readonly=True)"
                ) from error
            try:
                if os.path.samestat(os.fstat(fd), os.stat(self._side)):
                    return fd
            except FileNotFoundError:
                pass  # its last owner removed it between our open and our lock
            os.close(fd)

    def release(self) -> None:
        """Let go, so that the next process can have it."""
        if self._fd >= 0:
            os.unlink(self._side)
            os.close(self._fd)
            self._fd = -1

    def disown(self) -> None:
        """In a forked child: the lock is the parent's; closing our copy of it leaves it so."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def owned(path: str) -> bool:
    """Whether a process that lives seems to own this file. For readers, who must not touch the lock."""
    about = _read(path + SUFFIX)
    if not about:
        return False
    if about.get("host") != socket.gethostname():
        return True
    try:
        os.kill(int(about["pid"]), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, ValueError):
        pass
    return True


def owner_of(path: str) -> str | None:
    """Who owns this file, in words; None if nobody who lives seems to."""
    return _tell(path + SUFFIX) if owned(path) else None


def _tell(side: str) -> str:
    about = _read(side)
    if not about:
        return "another process"
    who = f"pid {about['pid']} on {about['host']}, since {about['since']}"
    return f"this process ({who})" if about["pid"] == os.getpid() else who


def _read(side: str) -> dict[str, Any]:
    """What the side file says, or nothing: its owner may be writing it just now."""
    try:
        with open(side, encoding="utf-8") as file:
            about = json.load(file)
        return about if isinstance(about, dict) and {"pid", "host", "since"} <= about.keys() else {}
    except (OSError, ValueError):
        return {}


def _stamp() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S")
