"""Rows in one SQLite file that all agents open: apsw, a write-ahead log, and SQLite waits while another one writes."""

from __future__ import annotations

import time
from typing import Any

import apsw

from benchmarks.cas.sql import TABLES, SqlRows

_PATIENCE = 10_000  # milliseconds


class File:
    """A connection to it."""

    def __init__(self, path: str, durability: str) -> None:
        self._db = apsw.Connection(path)
        self._db.set_busy_timeout(_PATIENCE)
        while True:
            try:
                self._db.pragma("journal_mode", "wal")
                break
            except apsw.BusyError:  # another agent is just doing the same, for which SQLite does not wait
                time.sleep(0.001)
        self._db.pragma("synchronous", "full" if durability == "power" else "normal")
        self._cursor = self._db.cursor()
        for table in TABLES:
            self._cursor.execute(table.format(serial="INTEGER PRIMARY KEY"))

    def execute(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Its rows."""
        return self._cursor.execute(statement, values).fetchall()

    def changed(self, statement: str, *values: Any) -> int:
        """How many rows it has changed."""
        self._cursor.execute(statement, values)
        return self._db.changes()

    def again(self) -> None:
        """There is nothing to reconnect to."""

    def close(self) -> None:
        """Close it."""
        self._db.close()


def connect(address: None, path: str, who: str, durability: str) -> SqlRows:
    """Open the file of all."""
    return SqlRows(File(path, durability))
