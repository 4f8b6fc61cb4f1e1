"""The rows of one log, read and summed, and found although something is broken between them.

Rows are read in chunks, in the order of their places. Where one does not fit, where there is a gap that the runs do not
explain, or where SQLite stumbles, the places that are to be there are looked at one by one for a while.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from zlib import crc32

import apsw

from crdtmem.sqlite.runs import Runs
from crdtmem.store import Record

CHUNK, CHUNK_BYTES = 512, 1 << 20  # read under one hold of the lock
STRETCH_BYTES = 1 << 16  # read at first: whoever hands out a stretch takes no more
TROUBLE = (apsw.Error, UnicodeDecodeError, TypeError)  # of reading a page or row that is not what was written

_FORWARD = "SELECT * FROM changes WHERE place > ? AND place < ? ORDER BY place"
_BACKWARD = _FORWARD + " DESC"
_POINT = (  # whatever type a damaged row claims for its columns
    "SELECT CAST(session AS BLOB), CAST(seq AS INTEGER), CAST(hash AS BLOB), CAST(core AS BLOB), CAST(seal AS BLOB), "
    "CAST(crc AS INTEGER) FROM changes WHERE place = ?"
)
_record = tuple.__new__  # a NamedTuple's own constructor costs three times as much


def crc(place: int, record: Record) -> int:
    """The checksum of a row; place and seq give the value it starts from."""
    return crc32(record[0] + record[2] + record[4] + record[3], (place * 31 + record[1]) & 0xFFFFFFFF)


class Rows:
    """The table of changes, as far as it is one log.

    Args:
        db: the file.
        runs: where records are to be.
        note: takes what is not: a key, why, session and seq.
        set_aside: takes a row that is broken: its place, what it holds, why.
    """

    def __init__(
        self,
        db: apsw.Connection,
        runs: Runs,
        note: Callable[[object, str, bytes, int], None],
        set_aside: Callable[[int, Record, str], None],
    ) -> None:
        self.runs = runs
        self._db = db
        self._note = note
        self._set_aside = set_aside

    def chunk(
        self, after: int, before: int, most: int, *, backward: bool, lost: list[int] | None
    ) -> tuple[list[tuple[int, Record]], int]:
        """Some of these records, so many bytes or one record more, and the last place that has been looked at."""
        rows: list[tuple[int, Record]] = []
        step, due, end = (-1, before - 1, after + 1) if backward else (1, after + 1, before - 1)
        size = 0
        try:
            cursor = self._db.execute(_BACKWARD if backward else _FORWARD, (after, before))
            for place, session, seq, hash, core, seal, sum in cursor:
                if place != due and (lost is None or place < due):
                    break
                if crc32(session + hash + seal + core, (place * 31 + seq) & 0xFFFFFFFF) != sum:
                    break
                rows.append((place, _record(Record, (session, seq, hash, core, seal))))
                due = place + step
                size += len(core)
                if len(rows) == CHUNK or size > most:
                    cursor.close()
                    return rows, place
            else:
                if lost is not None or due == end + step:
                    return rows, end
            cursor.close()
        except TROUBLE:
            pass
        return rows, end if due == end + step else self._probe(rows, due, end, lost)

    def _probe(self, rows: list[tuple[int, Record]], due: int, end: int, lost: list[int] | None) -> int:
        """Look at some places one by one, from here on; the last that has been looked at."""
        wanted: Iterator[tuple[int, bytes | None, int]]
        if lost is not None:
            wanted = ((place, None, 0) for place in range(due, end + 1))
        elif due <= end:
            wanted = iter(self.runs.between(due, end))
        else:
            wanted = reversed(list(self.runs.between(end, due)))
        for looked, (place, session, seq) in enumerate(wanted, 1):
            found = self.point(place)
            if isinstance(found, Record) and (session is None or found[:2] == (session, seq)):
                rows.append((place, found))
            elif session is not None:
                self._note((session, seq), found if isinstance(found, str) else "missing", session, seq)
            elif lost is not None and found != "missing":
                lost.append(place)
            if looked == CHUNK:
                return place
        return end

    def point(self, place: int) -> Record | str:
        """The record at this place, or what is wrong there."""
        try:
            row = self._db.execute(_POINT, (place,)).fetchone()
        except TROUBLE as error:
            return f"unreadable ({error})"
        if row is None:
            return "missing"
        record = Record(*row[:5])
        with contextlib.suppress(TypeError):
            if crc(place, record) == row[5]:
                return record
        self._set_aside(place, record, "its checksum does not fit")
        return "its checksum does not fit"
