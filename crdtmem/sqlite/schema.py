"""The tables of a store file, how they came about, and how a file is opened, made and brought up to date.

A file is there whole or not at all: it is made under another name. Its schema version is SQLite's user_version; a
migration is one transaction from each version to the next. A file of a newer version is left as it was found.

Of the tables only `changes` and `blobs` hold what cannot be made again; `sessions` and `runs` say where each record
is (see runs.py), so that the two can be held against each other.
"""

from __future__ import annotations

import os
from functools import cache
from urllib.parse import quote

import apsw

from crdtmem.errors import StoreError, UpgradeNeeded

APPLICATION = 0x63726474  # "crdt"
INDEX = "-index"  # the name of the file with derived tables, behind that of the store
PAGE = 2048  # a small change dirties one page: half the bytes to write and sum of SQLite's default

MIGRATIONS = [
    """
    CREATE TABLE namespaces (
        id INTEGER PRIMARY KEY,
        digest BLOB NOT NULL,
        labels BLOB NOT NULL,
        upto INTEGER NOT NULL,
        sessions INTEGER NOT NULL,
        crc INTEGER NOT NULL
    );
    CREATE TABLE changes (
        place INTEGER PRIMARY KEY,
        session BLOB NOT NULL,
        seq INTEGER NOT NULL,
        hash BLOB NOT NULL,
        core BLOB NOT NULL,
        seal BLOB NOT NULL,
        crc INTEGER NOT NULL
    );
    CREATE TABLE sessions (
        id INTEGER PRIMARY KEY,
        log INTEGER NOT NULL,
        session BLOB NOT NULL,
        newest INTEGER NOT NULL,
        kept INTEGER NOT NULL,
        sum INTEGER NOT NULL,
        crc INTEGER NOT NULL
    );
    CREATE TABLE runs (
        session INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        place INTEGER NOT NULL,
        count INTEGER NOT NULL,
        PRIMARY KEY (session, seq)
    ) WITHOUT ROWID;
    CREATE TABLE blobs (
        id INTEGER PRIMARY KEY,
        log INTEGER NOT NULL,
        name TEXT NOT NULL,
        data BLOB NOT NULL,
        crc INTEGER NOT NULL,
        UNIQUE (log, name)
    );
    """,
    """
    CREATE TABLE quarantine (
        id INTEGER PRIMARY KEY,
        log INTEGER,
        place INTEGER,
        session BLOB,
        seq INTEGER,
        hash BLOB,
        core BLOB,
        seal BLOB,
        reason TEXT NOT NULL,
        found REAL NOT NULL
    );
    """,
]


def connect(path: str, vfs: str | None, *, readonly: bool = False, immutable: bool = False) -> apsw.Connection:
    """A connection to a file that is there. It checkpoints when told to, and not when it is closed unasked."""
    name = f"file:{quote(path)}?immutable=1" if immutable else path
    access = apsw.SQLITE_OPEN_READONLY if readonly else apsw.SQLITE_OPEN_READWRITE
    connection = apsw.Connection(name, flags=access | apsw.SQLITE_OPEN_URI, vfs=vfs)
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    connection.set_busy_timeout(2000)
    connection.wal_autocheckpoint(0)
    return connection


def check(connection: apsw.Connection, path: str) -> int:
    """The schema version of an open file that is ours.

    Raises:
        UpgradeNeeded: it was written by a newer crdtmem.
        StoreError: it is something else, or damaged.
    """
    application, version = connection.pragma("application_id"), connection.pragma("user_version")
    if application != APPLICATION:
        raise StoreError(
            f"{path} is a database of another application (its id is {application:#x}), not a store of crdtmem; "
            "give SqliteStore a file of its own"
        )
    if version > len(MIGRATIONS):
        raise UpgradeNeeded(
            f"{path} has schema version {version}, written by a newer crdtmem; this one knows versions up to "
            f"{len(MIGRATIONS)}. Upgrade this program; the file was left as it is"
        )
    wanted = expected(version) if version > 0 else {}
    marks = ", ".join("?" * len(wanted))
    found = {
        name: sql
        for name, sql in connection.execute(
            f"SELECT name, sql FROM sqlite_schema WHERE tbl_name IN ({marks}) OR name IN ({marks})", [*wanted] * 2
        )
        if sql is not None
    }
    other_mode = not connection.readonly("main") and connection.pragma("journal_mode") != "wal"
    if not wanted or found != wanted or other_mode:
        raise StoreError(f"{path} is damaged: its schema is not that of version {version}; restore the file")
    return int(version)


@cache
def expected(version: int) -> dict[str, str]:
    """What the schema of that version looks like: the name and text of every table."""
    scratch = apsw.Connection(":memory:")
    for script in MIGRATIONS[:version]:
        scratch.execute(script).fetchall()
    return dict(scratch.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL"))


def migrate(connection: apsw.Connection, version: int) -> None:
    """Bring a file to the newest version, each step in one transaction."""
    for number, script in enumerate(MIGRATIONS[version:], version + 1):
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.execute(script).fetchall()
            connection.pragma("user_version", number)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def create(path: str, vfs: str | None) -> None:
    """A new file with empty tables, durable before it has its name."""
    draft = path + "-new"
    for stale in (draft, path + INDEX):
        _remove(stale)
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    connection = apsw.Connection(draft, flags=flags, vfs=vfs)
    try:
        connection.pragma("synchronous", "full")
        connection.pragma("page_size", PAGE)
        connection.pragma("auto_vacuum", "incremental")
        connection.pragma("application_id", APPLICATION)
        migrate(connection, 0)
        if connection.pragma("journal_mode", "wal") != "wal":
            raise StoreError(
                f"{path}: the file system does not let SQLite keep a write-ahead log; choose another place"
            )
    finally:
        connection.close()
    os.rename(draft, path)
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def beside(path: str) -> apsw.Connection:
    """The database for derived tables beside a store; made anew if there is none, or none that can be read."""
    path += INDEX
    try:
        return _derived(path)
    except apsw.Error:
        _remove(path)
        return _derived(path)


def beside_to_read(path: str) -> apsw.Connection:
    """The same, for who only looks; it may be another process's, and is never made."""
    connection = apsw.Connection(path + INDEX, flags=apsw.SQLITE_OPEN_READONLY)
    connection.set_busy_timeout(200)
    return connection


def _derived(path: str) -> apsw.Connection:
    connection = apsw.Connection(path)
    try:
        if connection.pragma("application_id") not in (0, APPLICATION):
            raise apsw.NotADBError
        connection.set_busy_timeout(10_000)  # other logs of the store have connections of their own to it
        connection.transaction_mode = "IMMEDIATE"
        connection.pragma("journal_mode", "wal")
        connection.pragma("synchronous", "normal")
        connection.pragma("application_id", APPLICATION)
    except BaseException:
        connection.close()
        raise
    return connection


def _remove(path: str) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        if os.path.lexists(path + suffix):
            os.unlink(path + suffix)


def size(path: str) -> int:
    """How many bytes a file has; 0 if it is not there."""
    return os.path.getsize(path) if os.path.exists(path) else 0
