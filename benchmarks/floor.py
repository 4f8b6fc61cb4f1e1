"""The floor of a store: a compare-and-swap loop on one row of SQLite, as a good user of the same driver writes it.

Write-ahead log, prepared statements, one cursor, autocommit: SELECT the value and its version, change the value,
UPDATE where the version is still the same, and try again at once if it is not; SQLite waits while another one writes.
Of the ways tried, eight that contend get most done so: pauses of 0.1 to 10 ms, with SQLite waiting or not, cost a tenth
to a third. The value is small and stays small: who, when, why and what of the last write. No history, no merging.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw

from benchmarks.race import Worker

_TABLE = "CREATE TABLE memory (key TEXT PRIMARY KEY, value TEXT NOT NULL, version INTEGER NOT NULL) WITHOUT ROWID"
_READ = "SELECT value, version FROM memory WHERE key = ?"
_SWAP = "UPDATE memory SET value = ?, version = version + 1 WHERE key = ? AND version = ?"
_KEY = "task"
_PATIENCE = 10_000  # milliseconds
WHY = "spike in March"

Swap = Callable[[apsw.Connection, Any, str], None]


def made(path: Path, synchronous: str) -> apsw.Connection:
    """A new file with the one row."""
    db = apsw.Connection(str(path))
    db.pragma("journal_mode", "wal")
    db.pragma("synchronous", synchronous)
    db.execute(_TABLE)
    db.execute("INSERT INTO memory VALUES (?, ?, 0)", (_KEY, _changed("{}", "first")))
    return db


def swap(db: apsw.Connection, execute: Any, value: str) -> None:
    """One write."""
    changed = 0
    while not changed:
        before, version = execute(_READ, (_KEY,)).get
        execute(_SWAP, (_changed(before, value), _KEY, version))
        changed = db.changes()


def queue(db: apsw.Connection, execute: Any, value: str) -> None:
    """One write under a lock from its beginning, for which SQLite has everybody wait: no compare and swap."""
    execute("BEGIN IMMEDIATE")
    before, version = execute(_READ, (_KEY,)).get
    execute(_SWAP, (_changed(before, value), _KEY, version))
    execute("COMMIT")


def _changed(before: str, value: str) -> str:
    state = json.loads(before)
    state.update(value=value, by="ann", why=WHY, at=time.time())
    return json.dumps(state)


def swapping(path: str, synchronous: str) -> Worker:
    """One of several that contend for the row."""
    return _contending(swap, path, synchronous)


def queueing(path: str, synchronous: str) -> Worker:
    """One of several that wait for each other."""
    return _contending(queue, path, synchronous)


def _contending(one: Swap, path: str, synchronous: str) -> Worker:
    db = apsw.Connection(path)
    db.pragma("synchronous", synchronous)
    db.set_busy_timeout(_PATIENCE)
    execute = db.cursor().execute
    return lambda number: one(db, execute, f"value {number}")
