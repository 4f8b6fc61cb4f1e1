"""A Redis server of its own, in a folder of its own, for as long as it is measured."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep

from benchmarks.postgres import Absent

_TRIES, _PATIENCE = 5, 10.0


def free_port() -> int:
    """A port of the loopback interface that nobody has at this moment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextmanager
def redis(*, fsync: bool) -> Iterator[tuple[int, int]]:
    """The port and process of a server that runs while the block lasts.

    It writes each change to its append-only file before it answers.

    Args:
        fsync: whether what it answers is on the disk (`appendfsync always`), or with the operating system (`no`).
    """
    program = shutil.which("redis-server")
    if program is None:
        raise Absent("Redis is not installed: apt-get install redis-server")
    with TemporaryDirectory(prefix="benchmark-redis-") as folder:
        process, port = _started(program, Path(folder), "always" if fsync else "no")
        try:
            yield port, process.pid
        finally:
            process.kill()
            process.wait()


def _started(program: str, folder: Path, policy: str) -> tuple[subprocess.Popen[bytes], int]:
    """Somebody may take the port first; then another one is tried."""
    for _ in range(_TRIES):
        port = free_port()
        words = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""]
        words += ["--appendonly", "yes", "--appendfsync", policy]
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        over = monotonic() + _PATIENCE
        while process.poll() is None and monotonic() < over:
            try:
                with socket.create_connection(("127.0.0.1", port), 1) as asked:
                    asked.sendall(b"PING\r\n")
                    if asked.recv(64).startswith(b"+PONG"):
                        return process, port
            except OSError:
                sleep(0.02)
        process.kill()
        process.wait()
    raise Absent(f"redis-server did not start, {_TRIES} times; run it in a shell to see why")
