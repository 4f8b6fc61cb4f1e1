"""A PostgreSQL server of its own, in a folder of its own, for as long as it is measured."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from glob import glob
from pathlib import Path
from tempfile import mkdtemp

USER = "postgres"  # it refuses to run as root


class Absent(Exception):
    """It cannot be measured here; says what to install."""


def program(name: str) -> str:
    """One of its programs."""
    found = shutil.which(name) or max(glob(f"/usr/lib/postgresql/*/bin/{name}"), default=None)
    if found is None:
        raise Absent("PostgreSQL is not installed: apt-get install postgresql")
    return found


@contextmanager
def postgres(*, fsync: bool, port: int | None = None) -> Iterator[str]:
    """How to connect to a server that runs while the block lasts.

    Args:
        fsync: whether a commit is on the disk, as is its default, or with the operating system.
        port: of the loopback interface, where it listens too.
    """
    folder = Path(mkdtemp(prefix="benchmark-postgres-", dir="/tmp"))  # the path of a socket is short
    user = USER if os.getuid() == 0 else None
    try:
        if user:
            shutil.chown(folder, user)
        _ran([program("initdb"), "-D", "data", "-U", USER, "-A", "trust", "--no-sync"], folder, user)
        where = f"-c listen_addresses=127.0.0.1 -p {port}" if port else "-c listen_addresses=''"
        options = f"-k {folder} {where} -c fsync={'on' if fsync else 'off'}"
        _ran([program("pg_ctl"), "-D", "data", "-w", "-l", "log", "-o", options, "start"], folder, user)
        try:
            yield f"host={folder} user={USER} dbname=postgres" + (f" port={port}" if port else "")
        finally:
            _ran([program("pg_ctl"), "-D", "data", "-w", "-m", "fast", "stop"], folder, user)
    finally:
        shutil.rmtree(folder)


def _ran(words: list[str], folder: Path, user: str | None) -> None:
    done = subprocess.run(words, cwd=folder, user=user, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    if done.returncode:
        raise Absent(f"{words[0]} failed: {done.stderr.decode(errors='replace')[-200:]}")
