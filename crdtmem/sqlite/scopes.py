"""The namespaces of a store file: their numbers, their labels, and how far the runs of each are written."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, NamedTuple
from zlib import crc32

import msgspec
from apsw import Connection

from crdtmem.errors import StoreError
from crdtmem.namespace import LABELS, NAMES, Namespace

SHIFT = 40  # the places of log n begin at n << SHIFT


class Scope(NamedTuple):
    """One row."""

    id: int
    digest: bytes
    labels: bytes
    upto: int  # the last place that the runs on the disk know
    sessions: int | None  # how many are on the disk; None if the row is broken, and all is to be derived anew

    def write(self, db: Connection) -> None:
        """Write it, in the transaction of the caller."""
        db.execute("REPLACE INTO namespaces VALUES (?, ?, ?, ?, ?, ?)", (*self, _crc(self)))


def scoped(db: Connection, path: str) -> dict[bytes, Scope]:
    """All of them, by digest. One that is broken is found by what is left of it.

    Raises:
        StoreError: one is not there.
    """
    scopes: dict[bytes, Scope] = {}
    ids = []
    for row in db.execute(
        "SELECT id, CAST(digest AS BLOB), CAST(labels AS BLOB), upto, sessions, crc FROM namespaces ORDER BY id"
    ):
        scope = Scope(*row[:5])
        ids.append(scope.id)
        if _crc(scope) != row[5]:
            scope = scope._replace(upto=0, sessions=None)
            with suppress(StoreError):
                scopes[unpacked(scope.labels, path).digest] = scope
        scopes[scope.digest] = scope
    last: int = db.execute("SELECT max(place) FROM changes").get or 0
    if ids != list(range(1, len(ids) + 1)) or last >> SHIFT > len(ids):
        raise StoreError(f"{path} is damaged: it does not list all its namespaces; restore the file")
    return scopes


def packed(namespace: Namespace) -> bytes:
    """The labels as they are kept."""
    labels = [getattr(namespace, name) for name in LABELS]
    return msgspec.msgpack.encode([*labels, namespace.owner] if namespace.owner else labels)


def unpacked(labels: bytes, path: str) -> Namespace:
    """The namespace with these labels.

    Raises:
        StoreError: they are broken.
    """
    try:
        told = msgspec.msgpack.decode(labels)
        given: dict[str, Any] = dict(zip(NAMES[: max(len(told), 6)], told, strict=True))
        return Namespace(**given)
    except (ValueError, TypeError) as error:
        raise StoreError(f"{path} is damaged: it does not tell the labels of a namespace") from error


def _crc(scope: Scope) -> int:
    return crc32(repr(tuple(scope)).encode())
