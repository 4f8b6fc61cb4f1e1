"""A store in a SQLite file: rows with checksums, one owner, and nothing lost without a word.

file.py  opens and closes, one writer ---- log.py   one namespace: records in and out, damage
  |-- owner.py    who may write              |-- rows.py   the records, read and summed
  |-- wal.py      what a crash left          `-- runs.py   where each record is
  |-- backfill.py the write-ahead log into the file, beside the writer
  |-- schema.py   tables and migrations
  |-- scopes.py   the namespaces
  `-- trouble.py  errors in words
"""

from __future__ import annotations

from apsw import Connection, Error

from crdtmem.sqlite.file import SqliteStore

__all__ = ["Connection", "Error", "SqliteStore", "scratch"]


def scratch() -> Connection:
    """An empty database in memory."""
    return Connection(":memory:")
