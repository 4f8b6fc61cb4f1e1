"""Where each record of one log is: a session's records lie in runs, one place after the other.

This is what lets an append dirty one page: no index over (session, seq) is kept, only where runs begin, and that is
written later, in bulk. It is derived from the rows, and it is their witness: a row that is missing is missed here.

1. What has left the write-ahead log is in the runs on disk: they are flushed before every checkpoint. What is not is
   found by reading the rows behind `upto` when the file is opened; SQLite sums those frames itself.
2. A session's runs are whole or `Broken`: their sum stands with the session, whose row has a checksum.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, cast
from zlib import crc32

from apsw import Connection

from crdtmem.errors import StoreError

NOWHERE = 0  # the place of a record that is known to be lost, and not where it was

_SUM = "(seq * 1000003 + place * 999983 + count * 7919) % 2147483647"


class Broken(Exception):
    """The runs or sessions of a log are damaged, and are to be made again from its rows."""


class Run(NamedTuple):
    """Some records of one session in successive places."""

    seq: int
    place: int
    length: int

    @property
    def sum(self) -> int:
        return (self.seq * 1000003 + self.place * 999983 + self.length * 7919) % 2147483647


class Chain:
    """One session: its newest seq, and where its records are."""

    __slots__ = ("id", "kept", "last", "newest", "recent", "stored", "sum", "sure")

    def __init__(self, id: int = 0, newest: int = 0, kept: int = 0, sum: int = 0) -> None:
        self.id = id  # 0: not on the disk yet
        self.newest = newest
        self.kept = kept  # by the runs on the disk
        self.sum = sum  # of these runs
        self.recent: list[
            tuple[int, int]
        ] = []  # (seq, place) where runs begin that are not, or not wholly, on the disk
        self.stored: Run | None = None  # the first of these, as it is on the disk
        self.last: Run | None = None  # the one on the disk that was used last
        self.sure = not id  # whether the runs on the disk have been summed

    def add(self, seq: int, place: int) -> None:
        """A record of this session is at this place."""
        recent = self.recent
        if not recent or place - recent[-1][1] != seq - recent[-1][0] or not place:
            recent.append((seq, place))
        self.newest = seq

    def runs(self) -> Iterator[Run]:
        """The recent ones; each ends where the next begins."""
        ends = [seq for seq, _ in self.recent[1:]] + [self.newest + 1]
        for (seq, place), end in zip(self.recent, ends, strict=True):
            yield Run(seq, place, end - seq)


class Runs:
    """The chains of one log.

    Args:
        db: the file.
        log: the number of the log in it.
    """

    def __init__(self, db: Connection, log: int) -> None:
        self._db = db
        self._log = log
        self.chains: dict[bytes, Chain] = {}
        self._touched: dict[bytes, Chain] = {}
        self._layout: list[tuple[int, int, bytes, int]] | None = None  # place, count, session, seq of all on the disk

    def load(self, sessions: int) -> None:
        """Take in the sessions on the disk.

        Raises:
            Broken: they are not what was written.
        """
        self.clear()
        rows = self._db.execute("SELECT id, session, newest, kept, sum, crc FROM sessions WHERE log = ?", (self._log,))
        for id, session, newest, kept, sum_, crc in rows:
            if _crc(id, self._log, session, newest, kept, sum_) != crc:
                raise Broken
            self.chains[session] = Chain(id, newest, kept, sum_)
        if len(self.chains) != sessions:
            raise Broken

    def clear(self) -> None:
        """Forget all."""
        self.chains, self._touched, self._layout = {}, {}, None

    @property
    def kept(self) -> int:
        """How many records the runs on the disk speak of."""
        return sum([chain.kept for chain in self.chains.values()])

    def add(self, session: bytes, seq: int, place: int) -> Chain:
        """A new record is there."""
        chain = self.chains.get(session)
        if chain is None:
            chain = self.chains[session] = Chain()
        self._touched[session] = chain
        chain.add(seq, place)
        return chain

    def find(self, session: bytes, seq: int) -> int | None:
        """The place of a record, if there is to be one."""
        chain = self.chains.get(session)
        if chain is None or not 0 < seq <= chain.newest:
            return None
        if chain.recent and seq >= chain.recent[0][0]:
            first, place = chain.recent[bisect_right(chain.recent, seq, key=_seq) - 1]
            return place + seq - first if place else NOWHERE
        if not chain.id:
            return None
        run = chain.last
        if run is None or not run.seq <= seq < run.seq + run.length:
            self._verify(chain)
            row = self._db.execute(
                "SELECT seq, place, count FROM runs WHERE session = ? AND seq <= ? ORDER BY seq DESC LIMIT 1",
                (chain.id, seq),
            ).fetchone()
            if row is None or seq >= row[0] + row[2]:
                return None
            run = chain.last = Run(*row)
        return run.place + seq - run.seq

    def _verify(self, chain: Chain) -> None:
        if not chain.sure:
            row = self._db.execute(
                f"SELECT sum(count), sum({_SUM}) FROM runs WHERE session = ?", (chain.id,)
            ).fetchone()
            if row != (chain.kept or None, chain.sum if chain.kept else None):
                raise Broken
            chain.sure = True

    def between(self, first: int, last: int) -> Iterator[tuple[int, bytes, int]]:
        """Every record that is to be at one of these places: (place, session, seq), in the order of places."""
        if self._layout is None:
            self._layout = self._all()
        recent = [
            (run.place, run.length, session, run.seq)
            for session, chain in self._touched.items()
            for run in chain.runs()
            if run.place
        ]
        for layout in self._layout, sorted(recent):
            at = max(0, bisect_right(layout, first, key=_place) - 1)
            for place, count, session, seq in layout[at:]:
                if place > last:
                    break
                for n in range(max(0, first - place), min(count, last + 1 - place)):
                    yield place + n, session, seq + n

    def _all(self) -> list[tuple[int, int, bytes, int]]:
        layout = []
        for session, chain in self.chains.items():
            if not chain.id:
                continue
            self._verify(chain)
            skip = chain.stored.seq if chain.stored else -1
            rows = self._db.execute("SELECT place, count, seq FROM runs WHERE session = ?", (chain.id,))
            layout += [(place, count, session, seq) for place, count, seq in rows if seq != skip]
        return sorted(layout)

    # -- on the disk -------------------------------------------------------------------------------

    def flush(self) -> list[tuple[Chain, int, int, int, Run]]:
        """Write what is not on the disk, in the transaction of the caller; hand what this gives to `flushed`."""
        plan = []
        for session, chain in self._touched.items():
            runs, old = list(chain.runs()), chain.stored
            kept = chain.kept + sum([run.length for run in runs]) - (old.length if old else 0)
            total = chain.sum + sum([run.sum for run in runs]) - (old.sum if old else 0)
            id = self._write_session(session, chain, chain.newest, kept, total)
            self._db.executemany("REPLACE INTO runs VALUES (?, ?, ?, ?)", [(id, *run) for run in runs])
            plan.append((chain, id, kept, total, runs[-1]))
        return plan

    def flushed(self, plan: Iterable[tuple[Chain, int, int, int, Run]], active: Chain | None) -> None:
        """It is committed; only the active chain may go on with its last run."""
        for chain, id, kept, total, last in plan:
            chain.id, chain.kept, chain.sum, chain.last = id, kept, total, None
            chain.recent, chain.stored = ([(last.seq, last.place)], last) if chain is active else ([], None)
        self._touched = {session: chain for session, chain in self._touched.items() if chain is active}
        self._layout = None

    def _write_session(self, session: bytes, chain: Chain, newest: int, kept: int, total: int) -> int:
        id = chain.id
        if not id:
            row = (self._log, session, newest, kept, total)
            self._db.execute(
                "INSERT INTO sessions (log, session, newest, kept, sum, crc) VALUES (?, ?, ?, ?, ?, 0)", row
            )
            id = self._db.last_insert_rowid()
        crc = _crc(id, self._log, session, newest, kept, total)
        sql = "UPDATE sessions SET newest = ?, kept = ?, sum = ?, crc = ? WHERE id = ?"
        self._db.execute(sql, (newest, kept, total, crc, id))
        return id

    def remove(self, session: bytes, first: int, last: int, newest: int) -> Iterator[tuple[int, int]]:
        """Forget these records of a session; gives the places of each run of them, first and last.

        For what is on the disk alone, in the transaction of the caller, who loads anew afterwards.

        Args:
            session: whose.
            first: the seq of the first.
            last: the seq of the last.
            newest: the newest seq of the session from now on, kept or not.
        """
        chain = self.chains[session]
        self._verify(chain)
        kept, total = chain.kept, chain.sum
        rows = self._db.execute("SELECT seq, place, count FROM runs WHERE session = ?", (chain.id,)).fetchall()
        for run in [Run(seq, place, count) for seq, place, count in cast(list[tuple[int, int, int]], rows)]:
            begin, end = max(run.seq, first), min(run.seq + run.length - 1, last)
            if begin > end:
                continue
            offset = run.place - run.seq
            self._db.execute("DELETE FROM runs WHERE session = ? AND seq = ?", (chain.id, run.seq))
            kept, total = kept - run.length, total - run.sum
            for part in (
                Run(run.seq, run.place, begin - run.seq),
                Run(end + 1, end + 1 + offset, run.seq + run.length - end - 1),
            ):
                if part.length:
                    self._db.execute("INSERT INTO runs VALUES (?, ?, ?, ?)", (chain.id, *part))
                    kept, total = kept + part.length, total + part.sum
            yield begin + offset, end + offset
        self._write_session(session, chain, newest, kept, total)

    def begin(self, sessions: Mapping[bytes, int]) -> None:
        """Have these sessions go on behind their seq, with nothing kept; in the transaction of the caller."""
        for session, seq in sessions.items():
            self._write_session(session, Chain(), seq, 0, 0)

    def precede(self, records: Iterable[tuple[int, bytes, int]]) -> None:
        """Older records are there, newest first: their places, sessions and seqs. Else as `remove`.

        Raises:
            StoreError: one does not come before the oldest of its session.
        """
        due: dict[bytes, int] = {}
        runs: dict[bytes, list[Run]] = {}
        for place, session, seq in records:
            chain = self.chains.get(session)
            if chain is None or seq < 1 or seq != due.get(session, self.oldest(chain)) - 1:
                raise StoreError(f"record {seq} of session {session.hex()} does not come before the oldest one")
            due[session] = seq
            mine = runs.setdefault(session, [])
            if mine and mine[-1].place == place + 1:
                mine[-1] = Run(seq, place, mine[-1].length + 1)
            else:
                mine.append(Run(seq, place, 1))
        for session, mine in runs.items():
            chain = self.chains[session]
            self._db.executemany("INSERT INTO runs VALUES (?, ?, ?, ?)", [(chain.id, *run) for run in mine])
            kept, total = sum([run.length for run in mine]), sum([run.sum for run in mine])
            self._write_session(session, chain, chain.newest, chain.kept + kept, chain.sum + total)

    def oldest(self, chain: Chain) -> int:
        """The seq of the oldest record on the disk; behind the newest, if none is."""
        oldest: int | None = self._db.execute("SELECT min(seq) FROM runs WHERE session = ?", (chain.id,)).get
        return oldest or chain.newest + 1

    def wipe(self) -> None:
        """Take what is on the disk away, in the transaction of the caller."""
        self._db.execute("DELETE FROM runs WHERE session IN (SELECT id FROM sessions WHERE log = ?)", (self._log,))
        self._db.execute("DELETE FROM sessions WHERE log = ?", (self._log,))


def _seq(start: tuple[int, int]) -> int:
    return start[0]


def _place(run: tuple[int, int, bytes, int]) -> int:
    return run[0]


def _crc(*row: object) -> int:
    return crc32(repr(row).encode())
