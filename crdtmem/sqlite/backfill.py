"""The write-ahead log brought into the main file beside whoever writes: a thread, with a connection of its own.

SQLite copies and syncs outside the GIL, for some tens of milliseconds, while the writer goes on. It copies no further
than to the writer's read lock; whoever begins this takes that lock anew behind the flushed runs (rule 1 of runs.py).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import apsw

from crdtmem.sqlite import schema

logger = logging.getLogger("crdtmem")


def backfill(path: str, vfs: str | None, done: Callable[[], None]) -> threading.Thread:
    """Begin to bring in what is in the write-ahead log now.

    Args:
        path: the file.
        vfs: how it is opened.
        done: called in the thread, at the end.
    """
    thread = threading.Thread(target=_fill, args=(path, vfs, done), name="crdtmem-backfill", daemon=True)
    thread.start()
    return thread


def _fill(path: str, vfs: str | None, done: Callable[[], None]) -> None:
    try:
        db = schema.connect(path, vfs)
        try:
            db.pragma("schema_version")  # opening reads nothing yet
            db.wal_checkpoint()
        finally:
            db.close()
    except apsw.Error as error:
        logger.warning("%s: the write-ahead log grows on: %s", path, error)
    finally:
        done()
