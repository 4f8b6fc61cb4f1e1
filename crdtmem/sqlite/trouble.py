"""What can go wrong with a file, in words that say what to do."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import apsw

from crdtmem.errors import MisuseError, StoreError

_WHY: list[tuple[type[Exception], str]] = [
    (apsw.FullError, "the disk is full; free some space and try again"),
    (apsw.ReadOnlyError, "the file may not be written; look at its permissions, or read it with readonly=True"),
    (apsw.CantOpenError, "the file, or one beside it, cannot be opened; look at the permissions of file and folder"),
    (apsw.NotADBError, "it is no database, or its first page is damaged; a store needs a file of its own"),
    (apsw.CorruptError, "the file is damaged; restore it, or start a new one and let peers fill it"),
    (apsw.BusyError, "another program holds the file; let it finish and try again"),
    (apsw.IOError, "the disk failed; nothing was kept by this call, try again when the cause is gone"),
    (apsw.SQLError, "the file does not hold the tables it should; it is damaged"),
    (UnicodeDecodeError, "the file is damaged; restore it, or start a new one and let peers fill it"),
]


@contextmanager
def explained(path: str, what: str, errno: Callable[[], int] = lambda: 0) -> Iterator[None]:
    """Turn the errors of SQLite into a StoreError that says what to do."""
    try:
        yield
    except (apsw.Error, UnicodeDecodeError) as error:
        why = next((why for kind, why in _WHY if isinstance(error, kind)), str(error))
        code = errno() if isinstance(error, apsw.IOError) else 0
        detail = os.strerror(code) if code else str(error)
        raise StoreError(f"{path}: could not {what}: {why} [{detail}]") from error


def checked(path: object) -> str:
    """The path of a file in a folder that is there, without links."""
    if not isinstance(path, str | os.PathLike):
        raise MisuseError(f"path: {path!r:.60} is not a path; give a str or a pathlib.Path")
    name = os.fspath(path)
    if not isinstance(name, str) or not name or name == ":memory:":
        raise MisuseError(f"path: {name!r} is not a file; for a store in memory use MemoryStore(), or leave store= out")
    name = os.path.realpath(name)
    if os.path.isdir(name):
        raise StoreError(f"{name} is a folder; give the path of a file in it")
    if not os.path.isdir(os.path.dirname(name)):
        raise StoreError(f"{name}: there is no folder {os.path.dirname(name)}; make it first")
    return name
