"""Vectors by name in a database, and how near each is to a given one: with sqlite-vec in C, without it in Python."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from math import sqrt
from operator import mul

from apsw import Connection


class Vectors:
    """A table of vectors of one length each, scaled to length one.

    >>> found = Vectors()
    >>> found.add({b"a": unit([3.0, 4.0]), b"b": unit([0.0, -2.0])})
    >>> sorted(found.near(unit([0.0, 5.0])).items())
    [(b'a', 0.8), (b'b', -1.0)]
    """

    def __init__(self) -> None:
        self._db = Connection(":memory:")
        self._db.execute("CREATE TABLE vector (name BLOB PRIMARY KEY, data BLOB) WITHOUT ROWID")
        self._fast = _extended(self._db)

    def add(self, vectors: Mapping[bytes, bytes]) -> None:
        """Keep these."""
        with self._db:
            self._db.executemany("INSERT OR REPLACE INTO vector VALUES (?, ?)", vectors.items())

    def drop(self, names: Iterable[bytes]) -> None:
        """Forget these."""
        with self._db:
            self._db.executemany("DELETE FROM vector WHERE name = ?", [(name,) for name in names])

    def near(self, vector: bytes) -> dict[bytes, float]:
        """How near each is: the cosine of the angle, from -1 to 1, to six digits."""
        if self._fast:
            rows: Iterable[tuple[bytes, float]] = self._db.execute(
                "SELECT name, 1 - vec_distance_cosine(data, ?) FROM vector", (vector,)
            )
        else:
            wanted = array("f", vector)
            rows = ((name, sum(map(mul, array("f", data), wanted))) for name, data in self._db.execute(_ALL))
        return {name: round(near, 6) for name, near in rows}


_ALL = "SELECT name, data FROM vector"


def unit(vector: Iterable[float]) -> bytes:
    """A vector scaled to length one, as 32-bit floats.

    Raises:
        ValueError: it has no direction, or none that floats can tell.
    """
    found = array("d", vector)
    length = sqrt(sum(map(mul, found, found)))
    if not 0 < length < float("inf"):
        raise ValueError("a vector needs finite numbers that are not all zero")
    return array("f", [number / length for number in found]).tobytes()


def _extended(db: Connection) -> bool:
    """Load sqlite-vec into a connection, if it is installed."""
    try:
        import sqlite_vec  # type: ignore[import-untyped]
    except ImportError:
        return False
    db.enable_load_extension(True)  # noqa: FBT003
    try:
        db.load_extension(sqlite_vec.loadable_path())
    finally:
        db.enable_load_extension(False)  # noqa: FBT003
    return True
