"""The comparison this project exists for: agents that share by compare and swap, and agents that share a memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from benchmarks.cas.ways import TRIES

if TYPE_CHECKING:
    from benchmarks.effort import Effort
    from benchmarks.rows import Row

ALIKE = {
    "durability": "what is acknowledged survives kill -9 of every process, or where it says synced a loss of power: "
    "crdtmem and SQLite have write-ahead logs with synchronous NORMAL or FULL, Redis appendonly with appendfsync no or "
    "always (everysec is no, and one sync a second), PostgreSQL fsync off or on",
    "processes": "one for each agent, and a server, or a relay for crdtmem; SQLite needs none",
    "payload": "a line of 60 bytes, with who, when and why where the structure has room; a counter's 1",
    "network": "loopback; where it says away, our proxy holds each message back so long, in both ways: between agent "
    "and server, or agent and relay, so that two agents of crdtmem are twice as far from each other",
    "retries": f"full jitter, at most {TRIES} tries",
}


def rows(effort: Effort) -> Iterator[Row]:
    """A row for each cell and way, and what they come to."""
    from benchmarks.cas.cells import FULL, QUICK  # not for the agents, which hold and load only what they need
    from benchmarks.cas.contest import measured

    with TemporaryDirectory(prefix="benchmark-", dir=effort.folder) as folder:
        full = effort.rounds > 5
        plan = FULL if full else QUICK
        for row in measured(plan, Path(folder), plan.ways):
            yield row if full else replace(row, reduced=True)
