"""Rows in PostgreSQL, through psycopg: one connection for each agent, and prepared statements."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg

from benchmarks.cas.sql import TABLES, SqlRows
from benchmarks.cas.ways import Unreachable
from benchmarks.postgres import USER

_PATIENCE = 5  # seconds for a connection


class Server:
    """A connection to it."""

    def __init__(self, port: int) -> None:
        self._address = (
            f"host=127.0.0.1 port={port} user={USER} dbname=postgres sslmode=disable connect_timeout={_PATIENCE}"
        )
        self._db: psycopg.Connection[Any]
        self.again()

    def execute(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Its rows."""
        cursor = self._run(statement, values)
        return cursor.fetchall() if cursor.description else []

    def changed(self, statement: str, *values: Any) -> int:
        """How many rows it has changed."""
        return self._run(statement, values).rowcount

    def _run(self, statement: str, values: tuple[Any, ...]) -> psycopg.Cursor[Any]:
        try:
            return self._db.execute(statement.replace("?", "%s"), values)
        except psycopg.OperationalError as error:
            raise Unreachable from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Several statements as one."""
        try:
            with self._db.transaction():
                yield
        except psycopg.OperationalError as error:
            raise Unreachable from error

    def again(self) -> None:
        """Connect, once more if need be."""
        with suppress(AttributeError):
            self._db.close()
        try:
            self._db = psycopg.connect(self._address, autocommit=True, prepare_threshold=0)
        except psycopg.OperationalError as error:
            raise Unreachable from error

    def close(self) -> None:
        """Close it."""
        self._db.close()


class PostgresRows(SqlRows):
    """Rows that can be locked."""

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self._transaction = server.transaction

    @contextmanager
    def locked(self, name: str) -> Iterator[tuple[str, Callable[[str], None]]]:
        """Nobody else changes the row until the block ends."""
        with self._transaction():
            [(value,)] = self._session.execute("SELECT value FROM memory WHERE name = ? FOR UPDATE", name)
            yield value, lambda text: self.write(name, text)


def connect(address: int, path: str, who: str, durability: str) -> SqlRows:
    """Connect to the server, whose durability is its own."""
    return PostgresRows(Server(address))


def made(port: int) -> int:
    """Make what the rows are kept in, once for all agents; gives the id of the server's first process."""
    server = Server(port)
    for table in TABLES:
        server.execute(table.format(serial="BIGSERIAL PRIMARY KEY"))
    [(started,)] = server.execute("SELECT pg_read_file('postmaster.pid')")
    server.close()
    return int(started.split()[0])
