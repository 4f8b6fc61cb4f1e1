"""The write-ahead log brought into the main file beside whoever writes: a thread, with a connection of its own.

SQLite copies and syncs outside the GIL, for some tens of milliseconds, while the writer goes on. It copies no further
than to the writer's read lock; whoever begins this takes that lock anew behind the flushed runs (rule 1 of runs.py).
The thread takes no lock of the writer, so the writer may wait for it.
"""

from __future__ import annotations

import logging
import os
import sys
import threading

import apsw

from crdtmem.sqlite import schema

logger = logging.getLogger("crdtmem")

_SHORT = 1 << 20  # less is brought into the main file while its writer waits
_ALL = sys.maxsize


class Backfill:
    """Rounds of it: each brings in what came during the one before, as long as that gets less."""

    def __init__(self, path: str, vfs: str | None) -> None:
        self._path = path
        self._vfs = vfs
        self._thread: threading.Thread | None = None
        self._worth = _ALL
        self.over = False  # set by the thread: what has come meanwhile is to be brought in, however little it is

    def fits(self, load: int) -> bool:
        """Whether a round is worth it for so many bytes. Else the writer brings them in; only then it begins anew."""
        return (self._thread is None or self.over) and _SHORT < load < self._worth

    def begin(self, load: int) -> None:
        """Begin to bring in what is in the write-ahead log now; at the end of the program nothing begins any more."""
        try:
            here = os.stat(self._path)
            args = here.st_dev, here.st_ino
            thread = threading.Thread(target=self._fill, args=args, name="crdtmem-backfill", daemon=True)
            self._worth, self._thread = load // 2, thread  # known before it runs: an interrupt may come in between
            thread.start()
        except (OSError, RuntimeError) as error:
            self._thread = None
            logger.warning("%s: no checkpoint beside the writer: %s", self._path, error)

    def wait(self) -> None:
        """Until no thread copies."""
        if self._thread is not None:
            if self._thread.ident is not None:
                self._thread.join()
            self._thread, self.over = None, False

    def end(self) -> None:
        """The writer brings in all of it."""
        self.wait()
        self._worth = _ALL

    def _fill(self, device: int, inode: int) -> None:
        try:
            db = schema.connect(self._path, self._vfs)
            try:
                there = os.stat(self._path)
                if (there.st_dev, there.st_ino) == (device, inode):  # not another file that was put there
                    db.pragma("schema_version")  # opening reads nothing yet
                    db.wal_checkpoint()
            finally:
                db.close()
        except (apsw.Error, OSError) as error:
            logger.warning("%s: the write-ahead log grows on: %s", self._path, error)
        finally:
            self.over = True
