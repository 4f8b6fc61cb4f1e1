"""The log of one namespace in a store file: its rows, their checksums, and what of them is broken.

1. Every row that is read is summed; what does not fit is set aside, noted in `damage`, and never served.
2. What is missing is noted too: each place that the runs speak of is looked at, one by one where the rows have a gap
   or SQLite stumbles over a page.
3. An append changes memory after its commit alone, so a failure leaves all as it was.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any
from zlib import crc32

import apsw

from crdtmem.errors import StoreError
from crdtmem.sqlite.rows import CHUNK_BYTES, STRETCH_BYTES, TROUBLE, Rows, crc
from crdtmem.sqlite.runs import NOWHERE, Broken, Chain, Runs
from crdtmem.sqlite.scopes import SHIFT
from crdtmem.store import Damage, Record

if TYPE_CHECKING:
    from crdtmem.sqlite.file import SqliteStore

logger = logging.getLogger("crdtmem")

HAS_MOVED = apsw.SQLITE_FCNTL_HAS_MOVED
LOOK_EVERY = 0.001  # seconds between looks at whether the file is still there: a look costs a tenth of a commit
_UNSEEN = 100_000  # more places than a write-ahead log holds between two checkpoints
_FRAMES = 2600  # bytes that an append costs in the write-ahead log, beside its core
_SEAL = "UPDATE changes SET seal = ?, crc = ? WHERE place = ?"
_INSERT = "INSERT INTO changes VALUES (?, ?, ?, ?, ?, ?, ?)"
_REPLACE = _INSERT.replace("INSERT", "REPLACE")
_EMPTY = "DELETE FROM changes WHERE place > ? AND place < ?"
_LOWEST = "SELECT min(place) FROM changes WHERE place > ? AND place < ?"


class SqliteLog:
    """The Log that SqliteStore opens.

    Args:
        store: the file, whose lock, connection and checkpoints all its logs share.
        id: the number of the log in the file.
        upto: the last place that the runs on the disk know.
        sessions: how many sessions are on the disk; None has all that can be derived made again from the rows.
    """

    def __init__(self, store: SqliteStore, id: int, upto: int, sessions: int | None) -> None:
        self.id = id
        self._store = store
        self._first = id << SHIFT
        self.upto = upto
        self.stale = False  # the runs on the disk are broken, and those here are not written yet
        self._place = 0
        self._noted: dict[Any, Damage] = {}  # by (session, seq) where these are known
        self._settled()
        self.runs = Runs(store.db, id)
        self._rows = Rows(store.db, self.runs, self._note, self._set_aside)
        self.load(upto, sessions)

    @property
    def _bounds(self) -> tuple[int, int]:
        """Between these lie the places of this log."""
        return self._first, (self.id + 1) << SHIFT

    def load(self, upto: int, sessions: int | None) -> None:
        """Take in what is on the disk, and look whether it is all there."""
        try:
            if sessions is None:
                raise Broken
            self.reload(upto, sessions)
            self._look_at_shelf()
            self._count()
            self._absorb(upto, pruned=False)
        except (Broken, apsw.CorruptError, apsw.IOError):
            self._rebuild()

    def reload(self, upto: int, sessions: int) -> None:
        """Take in the runs on the disk; no chain is active then."""
        self._settled()
        self._place = self.upto = max(upto, self._first)
        self.runs.load(sessions)

    def _settled(self) -> None:
        self._session, self._due = b"", 0
        self._chain: Chain | None = None

    def settle(self) -> Chain | None:
        """Bring the active chain up to date with the appends since; gives it."""
        if self._chain is not None:
            self._chain.newest = self._due - 1
        return self._chain

    @property
    def place(self) -> int:
        """The last place given away."""
        return self._place

    # -- opening -----------------------------------------------------------------------------------

    def _count(self) -> None:
        """Rows can vanish without a word from SQLite: a bit in the cell count of a page is enough."""
        kept = self.runs.kept
        with contextlib.suppress(apsw.CorruptError, apsw.IOError):
            sql = "SELECT count(*) FROM changes WHERE place > ? AND place <= ?"
            if self._store.db.execute(sql, (self._first, self.upto)).get == kept:
                return
        found = sum(1 for _ in self._scan(self._first, self.upto + 1))
        places = [self.runs.find(*key) for key in self._noted if isinstance(key, tuple)]
        if found + sum(1 for place in places if place is not None and place <= self.upto) != kept:
            raise Broken

    def _look_at_shelf(self) -> None:
        """The same names must stand in the table and in its index."""
        names = [
            self._store.db.execute(f"SELECT name FROM blobs {how} WHERE log = ? ORDER BY name", (self.id,)).fetchall()
            for how in ("NOT INDEXED", "INDEXED BY sqlite_autoindex_blobs_1")
        ]
        if names[0] != names[1]:
            self._note("shelf", "the index of the blobs was broken, and with it maybe a blob")
            self._store.reindex()

    def _absorb(self, after: int, *, pruned: bool) -> None:
        """Make runs from the rows behind a place. A gap in a chain gets the places where rows are broken or missing.

        Args:
            after: behind this one.
            pruned: rows may be missing for good, one by one or the oldest of a session.
        """
        lost: list[int] = []
        for place, record in self._scan(after, self._end(after), lost=lost):
            if not pruned and place > self._place + 1:
                lost[:] = sorted({*lost, *range(self._place + 1, place)})
            session, seq = record[:2]
            chain = self.runs.chains.get(session)
            due = chain.newest + 1 if chain else seq if pruned else 1
            self._place = place
            if seq < due:
                self._note(f"place {place}", "a record stands where it does not belong")
                continue
            for missing in range(due, seq):
                self.runs.add(session, missing, lost.pop(0) if lost else NOWHERE)
                self._note((session, missing), "missing", session, missing)
            self.runs.add(session, seq, place)
        if lost:
            self._note("lost", f"{len(lost)} of the newest records are broken, and nothing tells whose they were")
            self._place = max(self._place, lost[-1])

    def _end(self, after: int) -> int:
        """Behind the last row, as far as a damaged page can be believed."""
        known = max(self.upto, after)
        try:
            sql = "SELECT max(place) FROM changes WHERE place < ?"
            last = self._store.db.execute(sql, ((self.id + 1) << SHIFT,)).get or 0
        except (apsw.CorruptError, apsw.IOError) as error:
            self._note("end", f"the newest records are unreadable, nothing tells how many ({error})")
            return known + 1
        if last > known + _UNSEEN and not isinstance(self._rows.point(last), Record):
            last = known + _UNSEEN
        return max(last, known) + 1

    def _rebuild(self) -> None:
        """Make the runs anew from the rows."""
        self._noted = {key: damage for key, damage in self._noted.items() if key == "shelf"}
        self._note("runs", "the index of the records was broken; it has been made again from what is there")
        self._settled()
        self.runs.clear()
        self._place = max(self.upto, self._first)
        self.stale = True
        self._absorb(self._first, pruned=True)

    def reread(self, id: int, upto: int, sessions: int | None) -> None:
        """For a reader: what the owner has written since."""
        self.id, self._first = id, id << SHIFT
        self.runs = self._rows.runs = Runs(self._store.db, id)
        self.load(upto, sessions)

    def pause(self) -> None:
        """Send the next append the long way, which looks whether it may."""
        self.settle()
        self._settled()

    # -- writing -----------------------------------------------------------------------------------

    def append(self, records: Sequence[Record]) -> None:
        """Keep these records, all or none."""
        if len(records) == 1:
            session, seq, hash, core, seal = records[0]
            store = self._store
            with store.lock:
                if session == self._session and seq == self._due:
                    place = self._place + 1
                    row = (place, *records[0], crc32(session + hash + seal + core, (place * 31 + seq) & 0xFFFFFFFF))
                    try:
                        store.execute(_INSERT, row)
                    except apsw.ConstraintError:
                        self._append(records)
                        return
                    except apsw.Error as error:
                        store.again(error, _INSERT, row)
                    now = monotonic()
                    if now > store.look_at:
                        store.check_moved()
                        store.look_at = now + LOOK_EVERY
                    self._place = place
                    self._due = seq + 1
                    store.load += _FRAMES + len(core)
                    if store.load > store.limit or store.beside.over:
                        store.spill()
                    return
        if records:
            self._append(records)

    def _append(self, records: Sequence[Record]) -> None:
        store = self._store
        with store.lock:
            store.usable(write=True)
            self.settle()
            due: dict[bytes, int] = {}
            for record in records:
                chain = self.runs.chains.get(record[0])
                wanted = due.get(record[0]) or (chain.newest + 1 if chain else 1)
                if record[1] != wanted:
                    raise StoreError(
                        f"record {record[1]} of session {record[0].hex()} does not follow the one before; {wanted} does"
                    )
                due[record[0]] = wanted + 1
            rows = [(at, *record, crc(at, record)) for at, record in enumerate(records, self._place + 1)]
            try:
                self._insert(rows, _INSERT)
            except StoreError as error:
                if not isinstance(error.__cause__, apsw.ConstraintError):
                    raise
                # an interrupt came between a commit and its note here: nobody was told that what stands there is kept
                self._insert(rows, _REPLACE)
            store.check_moved()
            for row in rows:
                self._chain = self.runs.add(row[1], row[2], row[0])
                self._noted.pop((row[1], row[2]), None)  # it was broken, and cut
            self._place = row[0]
            if self._noted:
                self._settled()  # the short way looks for nothing of the kind
            else:
                self._session, self._due = row[1], row[2] + 1
            store.load += _FRAMES + sum(len(record[3]) + 300 for record in records)
            store.wrote()

    def _insert(self, rows: Sequence[tuple[object, ...]], sql: str) -> None:
        store = self._store
        if len(rows) > 1:
            with store.writing():
                store.db.executemany(sql, rows)
            return
        try:
            store.execute(sql, rows[0])
        except apsw.Error as error:
            store.again(error, sql, rows[0])

    def mend(self, record: Record) -> None:
        """Put a record back where a broken one was."""
        store, key = self._store, (record[0], record[1])
        with store.lock:
            store.usable(write=True)
            place = self._find(*key)
            if place is None or (key not in self._noted and self._served(place, *key)):
                raise StoreError(f"record {record[1]} of session {record[0].hex()} is not broken here")
            if place == NOWHERE:
                raise StoreError(f"nothing tells where record {record[1]} of session {record[0].hex()} was")
            with store.writing():
                store.db.execute(_REPLACE, (place, *record, crc(place, record)))
            self._noted.pop(key, None)
            store.wrote()

    def seal(self, session: bytes, seq: int, seal: bytes) -> None:
        """Put a seal beside a record. One that is broken is mended with its seal."""
        store = self._store
        with store.lock:
            store.usable(write=True)
            place = self._find(session, seq)
            if place is None:
                raise StoreError(f"there is no record {seq} of session {session.hex()} to be sealed")
            record = self._served(place, session, seq)
            if record is None:
                return
            sealed = Record(*record[:4], seal)
            row = (seal, crc(place, sealed), place)
            try:
                store.execute(_SEAL, row)
            except apsw.Error as error:
                store.again(error, _SEAL, row)
            store.wrote()

    def prune(self, session: bytes, upto: int) -> None:
        """Forget the oldest records of a session, up to this seq; the next to be kept is the same as before."""
        with self._store.lock:
            self._store.usable(write=True)
            self.settle()
            if chain := self.runs.chains.get(session):
                last = min(upto, chain.newest)
                self._forget(session, 1, last, chain.newest)
                for key in [key for key in self._noted if key[0] == session and key[1] <= last]:
                    del self._noted[key]

    def cut(self, session: bytes, first: int) -> None:
        """Forget the newest records of a session, from this seq on; the next to be kept is that one.

        It cuts no deeper than to what is kept: what was pruned before is not to be kept again.
        """
        with self._store.lock:
            self._store.usable(write=True)
            self.settle()
            if chain := self.runs.chains.get(session):
                self._store.flush()
                first = max(first, self.runs.oldest(chain))
                self._forget(session, first, chain.newest, first - 1)

    def _forget(self, session: bytes, first: int, last: int, newest: int) -> None:
        store = self._store
        if first > last:
            return
        store.flush()
        try:
            with store.writing():
                gone = list(self.runs.remove(session, first, last, newest))
                store.db.executemany("DELETE FROM changes WHERE place BETWEEN ? AND ?", gone)
        except Broken:
            self._rebuild()
            raise StoreError(f"{store.path}: the index of the records was broken; try again") from None
        finally:
            self.reload(self._place, len(self.runs.chains))
        store.give_back()

    def adopt(
        self, sessions: Mapping[bytes, int], room: int, blobs: Mapping[str, bytes | None], records: Sequence[Record]
    ) -> None:
        """Forget all records and begin behind a checkpoint, with so many places left for `fill`."""
        store = self._store
        with store.lock:
            store.usable(write=True)
            store.flush()
            if not 0 <= room < 1 << SHIFT - 1:
                raise StoreError(f"a checkpoint behind {room:,} changes is beyond what a store can hold")
            due = dict(sessions)
            for record in records:
                if record.seq != due.get(record.session, 0) + 1:
                    raise StoreError(f"record {record.seq} of session {record.session.hex()} does not follow")
                due[record.session] = record.seq
            with store.writing():
                self.runs.wipe()
                store.db.execute(_EMPTY, self._bounds)
                Runs(store.db, self.id).begin(sessions)
                rows = [(at, *record, crc(at, record)) for at, record in enumerate(records, self._first + room + 1)]
                store.db.executemany(_INSERT, rows)
                for name, data in blobs.items():
                    self._put(name, data)
                scope = store.scope(self.id)._replace(upto=self._first + room, sessions=len(sessions))
                scope.write(store.db)
            store.began(scope)
            self._noted = {key: damage for key, damage in self._noted.items() if key == "shelf"}
            self.load(scope.upto, scope.sessions)
            store.load += sum(len(data or b"") for data in blobs.values())
            store.load += _FRAMES + sum(len(record.core) + 300 for record in records)
            store.give_back()

    def fill(self, records: Sequence[Record]) -> None:
        """Keep these in front of all others, the newest first."""
        store = self._store
        with store.lock:
            store.usable(write=True)
            store.flush()
            lowest = store.db.execute(_LOWEST, self._bounds).get or self._place + 1
            if lowest - len(records) <= self._first:
                raise StoreError("there is no room for older records here")
            rows = [(lowest - n, *record, crc(lowest - n, record)) for n, record in enumerate(records, 1)]
            with store.writing():
                self.runs.precede([row[:3] for row in rows])
                store.db.executemany(_INSERT, rows)
            self.reload(self._place, len(self.runs.chains))
            store.load += sum(len(record.core) + 300 for record in records)
            store.wrote()

    # -- reading -----------------------------------------------------------------------------------

    def records(self) -> Iterator[Record]:
        """All records, in the order of their append."""
        return (record for _, record in self.since(0))

    def backwards(self, before: int | None = None) -> Iterator[tuple[int, Record]]:
        """All records, or those before a place, each with its own, the newest first."""
        self._fresh()
        first = self._first
        end = self._place + 1 if before is None else first + before
        return ((at - first, record) for at, record in self._scan(first, end, backward=True))

    def since(self, place: int) -> Iterator[tuple[int, Record]]:
        """The records behind a place, each with its own, in the order of their append."""
        self._fresh()
        first = self._first
        found = self._scan(first + place, self._place + 1)
        return ((at - first, record) for at, record in found)

    @property
    def newest(self) -> int:
        """The place of the newest record; 0 when nothing was ever kept."""
        with self._store.lock:
            self._fresh()
            return self._place - self._first

    def read(self, session: bytes, seq: int) -> Record | None:
        """One record."""
        with self._store.lock, self._store.steady():
            place = self._find(session, seq)
            return None if place is None else self._served(place, session, seq)

    def place_of(self, session: bytes, seq: int) -> int | None:
        """Where a record lies, be it broken; None if it never was here, or was pruned."""
        with self._store.lock, self._store.steady():
            place = self._find(session, seq)
            return None if place is None or place == NOWHERE else place - self._first

    def _fresh(self) -> None:
        with self._store.lock, self._store.steady():
            self.settle()

    def _find(self, session: bytes, seq: int) -> int | None:
        self.settle()
        try:
            return self.runs.find(session, seq)
        except (Broken, apsw.CorruptError, apsw.IOError):
            self._rebuild()
            return self.runs.find(session, seq)

    def _served(self, place: int, session: bytes, seq: int) -> Record | None:
        """The record that is to be there, or None and a note."""
        record = self._rows.point(place)
        if isinstance(record, Record) and record[:2] == (session, seq):
            return record
        self._note((session, seq), record if isinstance(record, str) else "missing", session, seq)
        return None

    def _scan(
        self, after: int, before: int, *, backward: bool = False, lost: list[int] | None = None
    ) -> Iterator[tuple[int, Record]]:
        """The records between two places.

        Args:
            after: behind this one.
            before: and before that.
            backward: the last first.
            lost: given when the runs do not know these rows, to take the places of what is broken.
        """
        most = STRETCH_BYTES
        while after + 1 < before:
            with self._store.lock, self._store.steady():
                try:
                    rows, reached = self._rows.chunk(after, before, most, backward=backward, lost=lost)
                except Broken:
                    self._rebuild()
                    continue
            yield from rows
            after, before = (after, reached) if backward else (reached, before)
            most = CHUNK_BYTES

    # -- the shelf, and tables derived from the records ----------------------------------------------

    def put(self, name: str, data: bytes) -> None:
        """Keep a blob under a name, in place of what was there."""
        store = self._store
        with store.lock:
            store.usable(write=True)
            with store.writing():
                self._put(name, data)
            self._noted.pop(f"blob {name}", None)
            store.load += len(data)
            store.wrote()

    def _put(self, name: str, data: bytes | None) -> None:
        """Keep a blob, or none of that name, in the transaction of the caller."""
        db = self._store.db
        if data is None:
            db.execute("DELETE FROM blobs WHERE log = ? AND name = ?", (self.id, name))
        else:
            row = (self.id, name, data, crc32(data, crc32(name.encode())))
            db.execute("REPLACE INTO blobs (log, name, data, crc) VALUES (?, ?, ?, ?)", row)

    def get(self, name: str) -> bytes | None:
        """The blob of that name, or None."""
        store = self._store
        with store.lock, store.steady():
            sql = "SELECT CAST(data AS BLOB), CAST(crc AS INTEGER) FROM blobs WHERE log = ? AND name = ?"
            try:
                row = store.db.execute(sql, (self.id, name)).fetchone()
            except TROUBLE as error:
                self._note(f"blob {name}", f"blob {name!r} is unreadable ({error})")
                return None
            if row is None:
                return None
            data: bytes = row[0]
            if crc32(data, crc32(name.encode())) == row[1]:
                return data
            self._note(f"blob {name}", f"the checksum of blob {name!r} does not fit")
            store.quarantine(self.id, name, Record(b"", 0, b"", data, b""), "its checksum does not fit")
            return None

    def drop(self, name: str) -> None:
        """Forget a blob, if it is there."""
        store = self._store
        with store.lock:
            store.usable(write=True)
            with store.writing():
                self._put(name, None)
            self._noted.pop(f"blob {name}", None)
            store.wrote()

    def names(self) -> list[str]:
        """The names of all blobs, sorted."""
        with self._store.lock, self._store.steady(), self._store.explained("read the names of blobs"):
            rows = self._store.db.execute("SELECT name FROM blobs WHERE log = ? ORDER BY name", (self.id,))
            return [name for (name,) in rows]

    def index(self) -> apsw.Connection:
        """A database for tables derived from the records; it may come back empty."""
        return self._store.index(self)

    def glance(self, sql: str) -> list[Any]:
        """What the tables beside the file say, also where another process has them; nothing, if that cannot be read."""
        return self._store.glance(sql)

    def set_aside(self) -> int:
        """How many damaged rows were ever set aside."""
        store = self._store
        with store.lock, store.steady():
            try:
                found: int = store.db.execute("SELECT count(*) FROM quarantine WHERE log = ?", (self.id,)).get or 0
            except apsw.Error:  # a file of the first version has no such table; or it is damaged, which others tell
                return 0
            return found

    @property
    def damage(self) -> Sequence[Damage]:
        """What was found broken since this log was opened, and has not been mended."""
        with self._store.lock:
            return (*self._store.damage, *self._noted.values())

    @property
    def writable(self) -> bool:
        """Whether it takes records."""
        return self._store.writable

    def size(self) -> int:
        """How many bytes the file takes, with all its logs."""
        return self._store.size()

    def _set_aside(self, place: int, record: Record, reason: str) -> None:
        self._store.quarantine(self.id, place, record, reason)

    def _note(self, key: object, reason: str, session: bytes | None = None, seq: int | None = None) -> None:
        if key not in self._noted:
            damage = self._noted[key] = Damage(reason, session, seq)
            if len(self._noted) <= 10:
                logger.warning("%s is damaged: %s", self._store.path, damage)
