"""SqliteStore: the logs of a replica in one SQLite file that one process owns.

One connection writes, under one lock; each append is a commit. Between two checkpoints a statement is left unfinished
on purpose: it keeps the read lock, which saves every commit four system calls (see docs of SQLite's WAL). The
write-ahead log is checkpointed when `load` says so, after the runs were flushed (rule 1 of runs.py), mostly by a thread
beside the writer.
"""

from __future__ import annotations

import ctypes
import logging
import os
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any, Literal, get_args

import apsw

from crdtmem.errors import MisuseError, ReadOnly, StoreError
from crdtmem.namespace import Namespace
from crdtmem.sqlite import schema, wal
from crdtmem.sqlite.backfill import Backfill
from crdtmem.sqlite.log import HAS_MOVED, SqliteLog
from crdtmem.sqlite.owner import Owner, owned
from crdtmem.sqlite.scopes import SHIFT, Scope, packed, scoped, unpacked
from crdtmem.sqlite.trouble import checked, explained
from crdtmem.store import Damage, Log, Record

logger = logging.getLogger("crdtmem")

Durability = Literal["process", "power"]
_WAL_LIMIT = 16 << 20
_QUARANTINED = 1 << 20  # of damaged bytes, so many are kept at most


class SqliteStore:
    """A store in a file. One process owns it; others may read it meanwhile.

    Args:
        path: the file; it is made if it is not there, its folder is not.
        durability: what an acknowledged write survives: the end of the process, also by kill -9, or of power.
        readonly: read a file, whoever owns it.

    Raises:
        StoreError: it cannot be opened; the message says why and what to do.
        UpgradeNeeded: a newer crdtmem has written it.

    >>> from crdtmem import Replica
    >>> with SqliteStore("ann.db") as store, Replica("ann", store=store) as replica:
    ...     _ = replica.open(tenant="acme").set("seen").add("a")
    >>> with SqliteStore("ann.db") as store, Replica("ann", store=store) as replica:
    ...     sorted(replica.open(tenant="acme").set("seen"))
    ['a']
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        durability: Durability = "process",
        readonly: bool = False,
        _vfs: str | None = None,
    ) -> None:
        self.path = checked(path)
        if durability not in get_args(Durability):
            raise MisuseError(f"durability: {durability!r} is neither 'process' nor 'power'")
        self.readonly = readonly
        self.writable = not readonly
        self.lock = threading.RLock()
        self.load, self.limit = 0, _WAL_LIMIT
        self.beside = Backfill(self.path, _vfs)
        self.damage: tuple[Damage, ...] = ()
        self._gone = ""
        self._vfs = _vfs
        self._loss = b""
        self._held: apsw.Cursor | None = None
        self._indexes: dict[SqliteLog, apsw.Connection] = {}
        self._logs: dict[bytes, SqliteLog] = {}
        self._owner = None if readonly else Owner(self.path)
        try:
            with self.explained("open it"):
                self.db = self._open()
                _OPEN[self] = self.path
                self._start(durability)
        except BaseException:
            self._let_go()
            raise

    # -- opening -----------------------------------------------------------------------------------

    def _open(self) -> apsw.Connection:
        path, there = self.path, os.path.exists(self.path)
        if not there and not self.writable:
            raise StoreError(f"{path}: no such file; without readonly=True it would be made")
        if not there and schema.size(path + "-wal"):
            raise StoreError(f"{path} is gone, but {path}-wal is there: put the file back, or remove that one too")
        if there and not os.path.getsize(path):
            raise StoreError(f"{path} is empty, which no store is: restore it, or remove it to start anew")
        if not there:
            schema.create(path, self._vfs)
        if path in _OPEN.values() or (self.readonly and owned(path)):
            return self._connect()  # what is in the write-ahead log is under way
        promised = wal.promise(path)
        db = self._connect()
        loss = wal.lost(path, _frames(db), promised)
        if loss and loss.main_is_newer and self.writable:
            db.close()  # the frames left are older than the main file: not to be read over it
            os.replace(path + "-wal", path + "-wal-damaged")
            db = self._connect()
        if loss:
            self.damage = (Damage(loss.reason),)
            logger.warning("%s is damaged: %s", path, loss.reason)
            self._loss = loss.raw
        return db

    def _connect(self) -> apsw.Connection:
        try:
            db = schema.connect(self.path, self._vfs, readonly=not self.writable)
            with suppress(apsw.CorruptError, apsw.NotADBError):  # the write-ahead log is looked at first
                db.pragma("schema_version")  # opening reads nothing yet
        except (apsw.CantOpenError, apsw.ReadOnlyError):
            if self.writable or schema.size(self.path + "-wal"):
                raise
            db = schema.connect(self.path, self._vfs, readonly=True, immutable=True)
        return db

    def _start(self, durability: Durability) -> None:
        db = self.db
        version = schema.check(db, self.path)
        if self.writable:
            db.pragma("synchronous", "full" if durability == "power" else "normal")
            db.pragma("journal_size_limit", 2 * _WAL_LIMIT)
            schema.migrate(db, version)
        self.execute = db.cursor().execute  # one cursor for all: making one costs more than binding the values
        self.look = db.file_control
        self.moved = ctypes.c_int(0)  # what `look` finds: whether the file is no longer where it was
        self.moved_at = ctypes.addressof(self.moved)
        self.look_at = 0.0  # when to look again
        self.load = schema.size(self.path + "-wal")
        self._version = db.pragma("data_version")
        self._scopes = scoped(db, self.path)
        if self.damage:
            self.quarantine(None, None, Record(b"", 0, b"", self._loss, b""), self.damage[0].reason)
            self._loss = b""

    def open(self, namespace: Namespace) -> Log:
        """The log of a namespace, empty if nothing was kept."""
        with self.lock, self.explained("open the log of a namespace"):
            return self._log(namespace)

    def _log(self, namespace: Namespace) -> SqliteLog:
        with self.steady():
            log = self._logs.get(namespace.digest)
            if log is None:
                scope = self._scopes.get(namespace.digest) or self._add(namespace)
                if scope.sessions is None:
                    self._scopes[namespace.digest] = scope._replace(digest=namespace.digest, labels=packed(namespace))
                log = self._logs[namespace.digest] = SqliteLog(self, scope.id, scope.upto, scope.sessions)
                if log.stale and self.writable:
                    self.checkpoint()
            return log

    def _add(self, namespace: Namespace) -> Scope:
        if not self.writable:
            return Scope(0, namespace.digest, b"", 0, 0)
        id = max([scope.id for scope in self._scopes.values()], default=0) + 1
        scope = Scope(id, namespace.digest, packed(namespace), id << SHIFT, 0)
        with self.writing():
            scope.write(self.db)
        self._scopes[namespace.digest] = scope
        self.wrote()
        return scope

    def namespaces(self) -> list[Namespace]:
        """Every namespace in this file.

        >>> with SqliteStore("two.db") as store:
        ...     _ = store.open(Namespace(tenant="acme")), store.open(Namespace(tenant="acme", task="t"))
        ...     store.namespaces()
        [Namespace(tenant='acme'), Namespace(tenant='acme', task='t')]
        """
        with self.lock, self.explained("list its namespaces"):
            self.usable()
            scopes = self._scopes if self.writable else scoped(self.db, self.path)
            return [unpacked(scope.labels, self.path) for scope in scopes.values()]

    # -- what its logs use -------------------------------------------------------------------------

    def usable(self, *, write: bool = False) -> None:
        """Raise if this store may not be used so."""
        if self._gone:
            raise StoreError(f"{self.path} {self._gone}")
        if write and not self.writable:
            raise ReadOnly(f"{self.path} was opened with readonly=True; its owner writes it")

    def check_moved(self) -> None:
        """Raise if the file has been deleted or replaced: what was written is in no file that will be found."""
        self.look("main", HAS_MOVED, self.moved_at)
        if self.moved.value:
            self.lost()

    def lost(self) -> None:
        """Nothing can be kept any more."""
        self._gone = (
            "was deleted or replaced while it was open; nothing more is kept. Open a new store by another name, or "
            f"remove {self.path}-wal and {self.path}-shm first: they belong to the file that was here"
        )
        self._forget_chains()
        self.usable()

    def again(self, error: apsw.Error, sql: str, row: tuple[object, ...]) -> None:
        """Try a commit once more without the read lock, if someone else has written; else explain what went wrong."""
        with self.explained("keep a record"):
            if not isinstance(error, apsw.BusyError):
                raise error
            self._release()
            self.db.execute(sql, row)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction, whole or not at all."""
        with self.explained("write"):
            try:
                self.db.execute("BEGIN IMMEDIATE")
            except apsw.BusyError:
                self._release()
                self.db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.db.execute("COMMIT")
            except BaseException:
                if self.db.in_transaction:
                    self.db.execute("ROLLBACK")
                raise

    def wrote(self) -> None:
        """After a commit: hold the read lock for the next ones, or checkpoint."""
        if self.load > self.limit or self.beside.over:
            self.spill()
        elif self._held is None:
            self._hold()

    def _hold(self) -> None:
        with suppress(apsw.Error):  # it only saves time
            self._held = self.db.execute("SELECT id FROM namespaces")

    def _release(self) -> None:
        self.beside.wait()  # which copies as far as that lock lets it
        if self._held is not None:
            self._held.close(force=True)
            self._held = None

    def spill(self) -> None:
        """The write-ahead log is long: have most of it brought into the main file beside us, then what came since."""
        if not self.beside.fits(self.load):
            self.checkpoint()
            return
        self._release()
        load, self.load = self.load, 0
        try:
            self.flush()
            self.look("main", HAS_MOVED, self.moved_at)
        except (StoreError, apsw.Error) as error:
            logger.warning("%s: no checkpoint, the write-ahead log grows on: %s", self.path, error)
            load = 0
        self._hold()
        if load and self._held is not None and not self.moved.value:  # without that lock it would copy too much
            self.beside.begin(load)

    def checkpoint(self) -> None:
        """Bring the write-ahead log into the main file. What is acknowledged is safe either way."""
        self.beside.end()
        self._release()
        self.load = 0
        try:
            self.flush()
            self.db.wal_checkpoint()
        except (StoreError, apsw.Error) as error:
            logger.warning("%s: no checkpoint, the write-ahead log grows on: %s", self.path, error)
        self._hold()

    def scope(self, id: int) -> Scope:
        """The row of a log."""
        return next(scope for scope in self._scopes.values() if scope.id == id)

    def began(self, scope: Scope) -> None:
        """The row of a log is another now."""
        self._scopes[scope.digest] = scope

    def flush(self) -> None:
        """Write the runs that are not on the disk."""
        logs = [(digest, log, log.settle()) for digest, log in self._logs.items()]
        logs = [(digest, log, active) for digest, log, active in logs if log.stale or log.place != log.upto]
        if not logs:
            return
        with self.writing():
            plans = []
            for digest, log, active in logs:
                if log.stale:
                    log.runs.wipe()
                scope = self._scopes[digest]._replace(upto=log.place, sessions=len(log.runs.chains))
                plans.append((log, active, scope, log.runs.flush()))
                scope.write(self.db)
        for log, active, scope, plan in plans:
            log.runs.flushed(plan, active)
            log.upto, log.stale = scope.upto, False
            self._scopes[scope.digest] = scope

    def give_back(self) -> None:
        """Give free pages back to the disk, once there are many."""
        free, pages = self.db.pragma("freelist_count"), self.db.pragma("page_count")
        if free >= max(16, pages // 8):
            with self.explained("give space back"):
                self._release()
                self.db.execute("PRAGMA incremental_vacuum").fetchall()
            self.checkpoint()
            self._release()
            with suppress(apsw.BusyError, apsw.LockedError):  # someone reads; the next checkpoint but one does it
                self.db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        self.wrote()

    def steady(self) -> AbstractContextManager[None]:
        """For a reader, a block that sees all that was committed before it and nothing later. The owner needs none."""
        self.usable()
        return _NOTHING if self.writable else self._snapshot()

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        with self.explained("read what was written since"):
            if self.db.in_transaction:
                yield
                return
            self.db.execute("BEGIN")
            try:
                version = self.db.pragma("data_version")
                if version != self._version:
                    self._version = version
                    self._scopes = scoped(self.db, self.path)
                    for digest, log in self._logs.items():
                        if scope := self._scopes.get(digest):
                            log.reread(scope.id, scope.upto, scope.sessions)
                yield
            finally:
                self.db.execute("COMMIT")

    def quarantine(self, log: int | None, place: int | str | None, raw: Record, reason: str) -> None:
        """Set aside what is broken, if it can be; it is not served in any case."""
        if not self.writable or self.db.in_transaction:
            return
        kept = Record(*raw[:3], (raw[3] or b"")[:_QUARANTINED], raw[4])
        row = (log, place, *kept, reason, time.time())
        try:
            with self.writing():
                self.db.execute("INSERT INTO quarantine VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
                if isinstance(place, int):
                    self.db.execute("DELETE FROM changes WHERE place = ?", (place,))
                elif place is not None:
                    self.db.execute("DELETE FROM blobs WHERE log = ? AND name = ?", (log, place))
        except StoreError as error:
            logger.warning("%s: what is broken stays where it is: %s", self.path, error)

    def index(self, log: SqliteLog) -> apsw.Connection:
        """A connection for what is derived from a log: to a file of its own, so that neither waits for the other.

        A file that is no database, or another one's, is made anew. For a reader it is empty and in memory.
        """
        with self.lock:
            self.usable()
            db = self._indexes.get(log)
            if db is None:
                with self.explained("open the index beside it"):
                    db = self._indexes[log] = schema.beside(self.path) if self.writable else apsw.Connection(":memory:")
            return db

    def glance(self, sql: str) -> list[Any]:
        """What the tables beside the file say, whoever owns them; nothing, if they are not there or cannot be read."""
        with self.lock:
            self.usable()
            try:
                db = schema.beside_to_read(self.path)
            except apsw.Error:
                return []
            try:
                return list(db.execute(sql))
            except apsw.Error:
                return []
            finally:
                db.close()

    def reindex(self) -> None:
        """Make the index of the blobs anew."""
        if self.writable:
            try:
                with self.writing():
                    self.db.execute("REINDEX blobs")
            except StoreError as error:
                logger.warning("%s: the index of the blobs stays broken: %s", self.path, error)

    def _forget_chains(self) -> None:
        """Send the next append the long way, which looks whether it may."""
        for log in self._logs.values():
            log.pause()

    def size(self) -> int:
        """How many bytes the file and its write-ahead log take."""
        with self.lock, self.explained("read its size"):
            self.usable()
            pages = int(self.db.pragma("page_count")) * int(self.db.pragma("page_size"))
            return pages + sum(
                schema.size(self.path + suffix) for suffix in ("-wal", schema.INDEX, f"{schema.INDEX}-wal")
            )

    def explained(self, what: str) -> AbstractContextManager[None]:
        """Turn the errors of SQLite into a StoreError that says what to do."""
        return explained(self.path, what, lambda: self.db.system_errno if "db" in self.__dict__ else 0)

    # -- closing -----------------------------------------------------------------------------------

    def close(self) -> None:
        """Bring everything into the main file and let others own it; closing twice does nothing."""
        with self.lock:
            if not self._gone:
                if self.writable:
                    self.checkpoint()
                    self.db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)
                self._gone = _CLOSED
                self._forget_chains()
            self._let_go()

    def _let_go(self) -> None:
        _OPEN.pop(self, None)
        if "db" in self.__dict__:
            self._release()
            for db in (*self._indexes.values(), self.db):
                try:
                    db.close(force=True)
                except apsw.Error as error:  # it is closed all the same, and the write-ahead log holds what is kept
                    logger.warning("%s: while closing: %s", self.path, error)
            self._indexes.clear()
            del self.db
        if self._owner is not None:
            self._owner.release()
            self._owner = None

    def _disown(self) -> None:
        """In a forked child. Not even closing is allowed: SQLite would take the parent's locks for its own."""
        self.lock = threading.RLock()
        for mine in (self.db, self._held, *self._indexes.values()):
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(mine))  # for ever: its end would close it
        del self.db
        self._held = None
        self._indexes.clear()
        self._gone = "was opened before fork(); open a file of its own in the child process"
        self._forget_chains()
        if self._owner is not None:
            self._owner.disown()
            self._owner = None

    def __enter__(self) -> SqliteStore:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._gone else "writing" if self.writable else "reading"
        return f"<SqliteStore {self.path!r}: {state}, {len(self._scopes)} namespaces>"


_OPEN: weakref.WeakKeyDictionary[SqliteStore, str] = weakref.WeakKeyDictionary()  # what this process has open
_NOTHING = nullcontext()
_CLOSED = "has been closed; open a new SqliteStore"


def _frames(db: apsw.Connection) -> int:
    """How many frames of the write-ahead log SQLite took."""
    return max(0, db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)[0])


def _disown() -> None:
    for store in list(_OPEN):
        store._disown()
    _OPEN.clear()


def _quiet() -> None:
    """Let no thread be inside SQLite, whose locks it would keep for ever in the child."""
    for store in list(_OPEN):
        store.beside.wait()


os.register_at_fork(before=_quiet, after_in_child=_disown)
