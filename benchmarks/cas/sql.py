"""The statements that SQLite and PostgreSQL share: a row with a version, and what one statement does alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Protocol

from benchmarks.cas.tasks import BUDGET, COUNTER, LIST, NUMBERS, SET, SPEND, Spent, about, heading, line

TABLES = (
    "CREATE TABLE IF NOT EXISTS memory (name TEXT PRIMARY KEY, value TEXT NOT NULL, version INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS numbers (name TEXT PRIMARY KEY, n INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS members (name TEXT, item TEXT, about TEXT, PRIMARY KEY (name, item))",
    "CREATE TABLE IF NOT EXISTS items (id {serial}, name TEXT NOT NULL, item TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS items_of ON items (name, id)",
)


class Session(Protocol):
    """A connection to a database."""

    def execute(self, statement: str, *values: Any) -> list[tuple[Any, ...]]: ...
    def changed(self, statement: str, *values: Any) -> int: ...
    def again(self) -> None: ...
    def close(self) -> None: ...


class SqlRows:
    """Rows in a database, for `ways.Stored`.

    Args:
        session: the connection, where every statement is a transaction of its own unless one is open.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self.again, self.close = session.again, session.close

    def make(self, kind: str, names: Sequence[str], text: str) -> None:
        """Rows for both: values that are written whole, and what one statement changes."""
        for name in names:
            self._session.execute("INSERT INTO memory VALUES (?, ?, 0)", name, text)
            if kind in NUMBERS:
                self._session.execute("INSERT INTO numbers VALUES (?, ?)", name, BUDGET if kind == SPEND else 0)

    def get(self, name: str) -> str:
        """The value alone."""
        [(value,)] = self._session.execute("SELECT value FROM memory WHERE name = ?", name)
        return str(value)

    def read(self, name: str) -> tuple[str, Any]:
        """The value and its version."""
        [(value, version)] = self._session.execute("SELECT value, version FROM memory WHERE name = ?", name)
        return value, version

    def swap(self, name: str, text: str, version: Any) -> bool:
        """Write if the version is still the same."""
        return bool(
            self._session.changed(
                "UPDATE memory SET value = ?, version = version + 1 WHERE name = ? AND version = ?", text, name, version
            )
        )

    def write(self, name: str, text: str) -> None:
        """Write, whatever is there."""
        self._session.changed("UPDATE memory SET value = ?, version = version + 1 WHERE name = ?", text, name)

    def direct(self, kind: str, name: str, tag: str, who: str) -> None:
        """One statement, by which the database itself does it."""
        change = self._session.changed
        if kind == LIST:
            item = json.dumps({"value": line(tag), **about(who)})
            change("INSERT INTO items (name, item) VALUES (?, ?)", name, item)
        elif kind == SET:
            insert = "INSERT INTO members VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
            change(insert, name, line(tag), json.dumps(about(who)))
        elif kind == COUNTER:
            change("UPDATE numbers SET n = n + 1 WHERE name = ?", name)
        elif kind == SPEND:
            if not change("UPDATE numbers SET n = n - 1 WHERE name = ? AND n > 0", name):
                raise Spent
        else:  # the value is JSON, in which a line ends with a backslash and an n
            above = f"{heading(tag)}\\n"
            update = "UPDATE memory SET value = replace(value, ?, ?), version = version + 1 WHERE name = ?"
            change(update, above, f"{above}{line(tag)}\\n", name)

    def view(self, kind: str, names: Sequence[str], *, direct: bool) -> list[Any]:
        """The values of these names, in one statement."""
        places = ", ".join("?" * len(names))
        if direct and kind in (LIST, SET):
            table, order = ("items", "id") if kind == LIST else ("members", "item")
            rows = self._session.execute(
                f"SELECT name, item FROM {table} WHERE name IN ({places}) ORDER BY {order}", *names
            )
            return [[item for of, item in rows if of == name] for name in names]
        if direct and kind in NUMBERS:
            found = dict(self._session.execute(f"SELECT name, n FROM numbers WHERE name IN ({places})", *names))
            return [found[name] for name in names]
        found = dict(self._session.execute(f"SELECT name, value FROM memory WHERE name IN ({places})", *names))
        return [json.loads(found[name]) for name in names]
