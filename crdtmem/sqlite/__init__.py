"""A store in a SQLite file: rows with checksums, one owner, and nothing lost without a word.

file.py  opens and closes, one writer ---- log.py   one namespace: rows in and out, damage
  |-- owner.py   who may write               `-- runs.py  where each record is
  |-- wal.py     what a crash left
  `-- schema.py  tables and migrations
"""

from __future__ import annotations

from apsw import Connection

from crdtmem.sqlite.file import SqliteStore

__all__ = ["Connection", "SqliteStore", "scratch"]


def scratch() -> Connection:
    """An empty database in memory."""
    return Connection(":memory:")
