"""Tables derived from the log: which change touched which field, entry and unit. The audit asks them.

They hold names and places only; what was said stays in the log. `follow.py` keeps them up to date. All namespaces of a
store share them, each under a number of its own; sessions, fields and names are numbered within it.

- said:  a row for each part of a change, in the order of the timeline. Its base is, of a counter, the session's total
  before; of a sequence or text, the clock of its first unit.
- named: which change removes, moves, retracts or takes back which entry.
- edit:  the parts of counters, sequences and texts; the latter by the units they made, void ones too: those spend
  their clocks all the same.
- gone:  the units that were deleted, in spans that lie within SPAN units, so that a search need not look further back.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any, NamedTuple

from crdtmem.change import Change
from crdtmem.entry import EntryId
from crdtmem.errors import BadBytes
from crdtmem.state import State
from crdtmem.store import Log
from crdtmem.taint import AFFIRMED, RETRACTED

FORMAT = 1
SPAN = 1024
REMOVES, MOVES, SPEAKS = range(3)  # how a change names an entry; it speaks of those it retracts, affirms or takes back

TABLES = {
    "scope": "ns INTEGER PRIMARY KEY, namespace BLOB UNIQUE, format INT, place INT",
    "session": "ns INT, number INT, id BLOB, seq INT, pruned INT, PRIMARY KEY (ns, number)",
    "field": "ns INT, number INT, kind INT, name TEXT, PRIMARY KEY (ns, number)",
    "name": "ns INT, number INT, name TEXT, PRIMARY KEY (ns, number)",
    "tick": "ns INT, field INT, session INT, tick INT, PRIMARY KEY (ns, field, session)",
    "lost": "ns INT, session INT, seq INT, PRIMARY KEY (ns, session, seq)",
    "said": "ns INT, hlc INT, session INT, seq INT, part INT, field INT, agent INT, role INT, base INT, "
    "PRIMARY KEY (ns, hlc, session, seq, part)",
    "named": "ns INT, session INT, seq INT, n INT, how INT, field INT, by_session INT, by_seq INT, "
    "PRIMARY KEY (ns, session, seq, n, how, field, by_session, by_seq)",
    "edit": "ns INT, field INT, session INT, clock INT, seq INT, part INT, units INT, place INT, "
    "PRIMARY KEY (ns, field, session, clock, seq)",
    "gone": "ns INT, field INT, session INT, clock INT, by_session INT, by_seq INT, length INT, "
    "PRIMARY KEY (ns, field, session, clock, by_session, by_seq)",
}

ChangeId = tuple[bytes, int]


class Part(NamedTuple):
    """One part of a change, where it stands in the timeline."""

    hlc: int
    session: bytes
    seq: int
    number: int


class Edit(NamedTuple):
    """The part that made some units."""

    session: bytes
    seq: int
    number: int
    clock: int
    units: int


class Asked(NamedTuple):
    """Which parts are asked for, as far as the tables can tell; what is None is not asked."""

    fields: Collection[str] | None = None
    by: Collection[str] | None = None
    roles: Collection[str] | None = None
    session: bytes | None = None
    first: int | None = None  # stamps
    last: int | None = None


class Trail:
    """The tables of one memory, and the numbers in them.

    Args:
        log: for the database.
        state: for the clients of sessions, and what is void.
    """

    def __init__(self, log: Log, state: State) -> None:
        self._log = log
        self.ns = 0
        self._client = state.client_of
        self.forget()

    @cached_property
    def db(self) -> Any:
        """The database; opened when something is first asked."""
        return self._log.index()

    def forget(self) -> None:
        """Know nothing of the tables."""
        self.place = -1  # of the last record they follow
        self.ids: list[bytes] = []  # of sessions, by number
        self.last: list[int] = []  # how far each session is followed
        self.pruned: list[int] = []  # how far each session was pruned
        self.numbers: dict[bytes, int] = {}
        self.clients: dict[int, int] = {}
        self.fields: dict[tuple[int, str], int] = {}
        self.names: dict[str | None, int | None] = {None: None}
        self.ticks: dict[tuple[int, int], int] = {}  # (field, session) -> its next clock, or its total
        self.lost: list[tuple[int, int]] = []  # of changes that are not there, the newest of each row of them
        self.blind: set[int] = set()  # sessions with such

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One transaction. apsw's own keeps the GIL while it waits, and whoever it waits for needs that."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.db.execute("COMMIT")
        except BaseException:
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            raise

    # -- what is in them ---------------------------------------------------------------------------

    def load(self, namespace: bytes) -> bool:
        """Know what the tables know; False if there is nothing usable."""
        db = self.db
        if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'audit_scope'").get is None:
            return False
        at: Any = db.execute("SELECT ns, format, place FROM audit_scope WHERE namespace = ?", (namespace,)).fetchone()
        if at is None or at[1] != FORMAT:
            return False
        if (at[0], at[2]) == (self.ns, self.place):
            return True
        self.forget()
        self.ns = at[0]
        for number, id, seq, pruned in self._all("session", "number, id, seq, pruned"):
            self.session(number, id, seq, pruned)
        self.fields = {(kind, name): number for number, kind, name in self._all("field", "number, kind, name")}
        self.names |= {name: number for number, name in self._all("name", "number, name")}
        self.ticks = {(field, session): tick for field, session, tick in self._all("tick", "field, session, tick")}
        self.lost = [(session, seq) for session, seq in self._all("lost", "session, seq")]
        self.blind = {session for session, _ in self.lost}
        self.place = at[2]
        return True

    def _all(self, table: str, columns: str) -> Any:
        return self.db.execute(f"SELECT {columns} FROM audit_{table} WHERE ns = {self.ns} ORDER BY 1, 2").fetchall()

    def session(self, number: int, id: bytes, seq: int, pruned: int = 0) -> None:
        """Take note of a session."""
        self.ids.append(id)
        self.last.append(seq)
        self.pruned.append(pruned)
        self.numbers[id] = number
        self.clients[self._client(id)] = number

    def empty(self, namespace: bytes) -> None:
        """Make the tables, and all that is in them of this memory none."""
        db = self.db
        self.forget()
        with self.writing():
            made = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'audit_scope'").get is not None
            if made and db.execute("SELECT 1 FROM audit_scope WHERE format <> ?", (FORMAT,)).get is not None:
                old = "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'audit\\_%' ESCAPE '\\'"
                for (name,) in db.execute(old).fetchall():
                    db.execute(f"DROP TABLE {name}")
            for table, columns in TABLES.items():
                rowid = "" if table == "scope" else " WITHOUT ROWID"
                db.execute(f"CREATE TABLE IF NOT EXISTS audit_{table} ({columns}){rowid}")
            db.execute("INSERT OR IGNORE INTO audit_scope VALUES (NULL, ?, ?, 0)", (namespace, FORMAT))
            ns: Any = db.execute("SELECT ns FROM audit_scope WHERE namespace = ?", (namespace,)).get
            for table in list(TABLES)[1:]:
                db.execute(f"DELETE FROM audit_{table} WHERE ns = {ns}")
            db.execute(f"UPDATE audit_scope SET place = 0 WHERE ns = {ns}")
        self.ns, self.place = ns, 0

    def prune(self, upto: Mapping[bytes, int]) -> None:
        """Forget the changes of each session up to this one; of those that name what they wrote, the names stay."""
        for id, seq in upto.items():
            number = self.numbers[id]
            self.pruned[number] = max(seq, self.pruned[number])
        with self.writing():
            self.db.executemany(
                f"UPDATE audit_session SET pruned = ? WHERE ns = {self.ns} AND number = ?",
                [(self.pruned[self.numbers[id]], self.numbers[id]) for id in upto],
            )
            for table, by, of in (
                ("said", "session", "seq"),
                ("edit", "session", "seq"),
                ("named", "by_session", "by_seq"),
                ("gone", "by_session", "by_seq"),
            ):
                self.db.execute(
                    f"DELETE FROM audit_{table} WHERE ns = {self.ns} AND {of} <= "
                    f"(SELECT pruned FROM audit_session s WHERE s.ns = {self.ns} AND s.number = {by})"
                )

    # -- asking ------------------------------------------------------------------------------------

    def parts(self, asked: Asked, start: Part | None, *, newest_first: bool = False) -> Generator[Part]:
        """The parts that may be meant, from one on: by time, then session, seq and number."""
        way, order = ("<=", "DESC") if newest_first else (">=", "ASC")
        tests, values = self._tests(asked)
        if start is not None:
            tests += [f"p.hlc {way} ?", f"(p.hlc, s.id, p.seq, p.part) {way} (?, ?, ?, ?)"]
            values += [start.hlc, *start]
        cursor = self.db.execute(
            "SELECT p.hlc, s.id, p.seq, p.part FROM audit_said p CROSS JOIN audit_session s "
            f"ON s.ns = {self.ns} AND s.number = p.session WHERE {' AND '.join(tests)} "
            f"ORDER BY p.hlc {order}, s.id {order}, p.seq {order}, p.part {order}",
            values,
        )
        try:
            for row in cursor:
                yield Part(*row)
        finally:
            cursor.close()

    def _tests(self, asked: Asked) -> tuple[list[str], list[Any]]:
        tests, values = [f"p.ns = {self.ns}"], list[Any]()
        if asked.fields is not None:
            names = {*asked.fields, RETRACTED, AFFIRMED}  # what is said there is said of entries of other fields
            tests.append(_among("p.field", [number for (_, name), number in self.fields.items() if name in names]))
        if asked.by is not None:
            tests.append(_among("p.agent", [self.names.get(name) for name in asked.by]))
        if asked.roles is not None:
            tests.append(_among("p.role", [self.names.get(name) for name in asked.roles]))
        if asked.session is not None:
            tests.append(_among("p.session", [self.numbers.get(asked.session)]))
        for bound, test in ((asked.first, "p.hlc >= ?"), (asked.last, "p.hlc < ?")):
            if bound is not None:
                tests.append(test)
                values.append(bound)
        return tests, values

    def label(self, part: Part) -> tuple[int, str, str, str | None]:
        """The kind and name of the field of a part, its agent and role."""
        _, field, agent, role = self._row(part)
        names: dict[Any, Any] = {number: name for name, number in self.names.items()}
        [(kind, name)] = [at for at, number in self.fields.items() if number == field]
        return kind, name, names[agent], names[role]

    def base(self, change: Change, number: int) -> int | None:
        """The clock, or the total, before a part; None where that is lost."""
        base: int | None = self._row(Part(change.hlc, change.session, change.seq, number))[0]
        return base

    def _row(self, part: Part) -> Any:
        return self.db.execute(
            "SELECT base, field, agent, role FROM audit_said "
            "WHERE ns = ? AND hlc = ? AND session = ? AND seq = ? AND part = ?",
            (self.ns, part.hlc, self.numbers.get(part.session), part.seq, part.number),
        ).fetchone() or (None, None, None, None)

    def naming(self, id: Any) -> list[ChangeId]:
        """The changes that remove, move, retract, affirm or take back an entry."""
        return self._changes(
            "SELECT DISTINCT by_session, by_seq FROM audit_named WHERE ns = ? AND session = ? AND seq = ? AND n = ?",
            (self.numbers.get(id[0]), id[1], id[2]),
        )

    def removers(self, id: Any) -> dict[tuple[int, str], list[ChangeId]]:
        """The changes that name an entry to remove it from a keyed field, by field; it stands in one at most."""
        found: dict[tuple[int, str], list[ChangeId]] = {}
        rows: Any = self.db.execute(
            "SELECT field, by_session, by_seq FROM audit_named "
            "WHERE ns = ? AND session = ? AND seq = ? AND n = ? AND how = ?",
            (self.ns, self.numbers.get(id[0]), id[1], id[2], REMOVES),
        ).fetchall()
        if rows:
            fields = list(self.fields)
            for field, session, seq in rows:
                found.setdefault(fields[field], []).append((self.ids[session], seq))
        return found

    def touching(self, kind: int, field: str) -> list[ChangeId]:
        """The changes with a part for a counter, sequence or text, in the order they were applied here."""
        at = self.fields.get((kind, field))
        return self._changes("SELECT session, seq FROM audit_edit WHERE ns = ? AND field = ? ORDER BY place", (at,))

    def reached(self, stamp: int) -> dict[bytes, int]:
        """How far the sessions had come at a stamp that have gone on since."""
        first = "SELECT session, min(seq) - 1 FROM audit_said WHERE ns = ? AND hlc > ? GROUP BY session"
        return dict(self._changes(first, (stamp,)))

    def made(self, kind: int, field: str, client: int, clock: int) -> Edit | None:
        """The part that made a unit, or None if that is lost."""
        row: Any = self.db.execute(
            "SELECT session, seq, part, clock, units FROM audit_edit WHERE ns = ? AND field = ? AND session = ? "
            "AND clock BETWEEN 0 AND ? ORDER BY clock DESC, seq DESC LIMIT 1",
            (self.ns, self.fields.get((kind, field)), self.clients.get(client), clock),
        ).fetchone()
        if row is None or clock >= row[3] + row[4]:
            return None
        return Edit(self.ids[row[0]], *row[1:])

    def deleting(self, kind: int, field: str, session: bytes, start: int, end: int) -> list[ChangeId]:
        """The changes that delete some of these units."""
        return self._changes(
            "SELECT DISTINCT by_session, by_seq FROM audit_gone WHERE ns = ? AND field = ? AND session = ? "
            "AND clock >= ? AND clock < ? AND clock + length > ?",
            (self.fields.get((kind, field)), self.numbers.get(session), start - start % SPAN, end, start),
        )

    def _changes(self, sql: str, values: tuple[Any, ...]) -> list[ChangeId]:
        rows: Any = self.db.execute(sql, (self.ns, *values)).fetchall()
        return [(self.ids[session], seq) for session, seq in rows]


def followed(log: Log, namespace: bytes) -> int | None:
    """Up to which record its owner has asked the audit, by the tables it left; None if nobody can tell."""
    glance: Callable[[str], Any] | None = getattr(log, "glance", None)
    found = None if glance is None else glance("SELECT namespace, place FROM audit_scope")
    return None if found is None else dict(found).get(namespace, 0)


def _among(column: str, numbers: Iterable[int | None]) -> str:
    """A test for a row. Who is unknown has no number."""
    return f"{column} IN ({', '.join(str(n) for n in numbers if n is not None)})"


def target_of(key: Any) -> Any:
    """The entry that a retraction or affirmation speaks of, or None."""
    try:
        return tuple(EntryId.parse(key))
    except BadBytes:
        return None


def void_reason(voids: Mapping[ChangeId, Mapping[int, str]], change: Change, number: int) -> str | None:
    """Why a part is void, or None."""
    return voids.get((change.session, change.seq), {}).get(number)
