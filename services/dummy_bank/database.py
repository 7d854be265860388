"""The simulator's own SQLite file. A commit survives `kill -9`; one process at a time uses a file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

from shared.clock import now, rfc3339

Row = sqlite3.Row

_SCHEMA = (Path(__file__).parent / "schema.sql").read_text()


class Database:
    """One connection, used only in the event loop's thread; every statement takes well under a millisecond.

    Long reads use `read_separately`, which any thread may call.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._connection = _open(path)
        self._connection.executescript(_SCHEMA)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A database transaction that takes the write lock at once. Do not nest it and do not await inside it."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def rows(self, query: str, *values: object) -> list[Row]:
        """Read outside a transaction."""
        return self._connection.execute(query, values).fetchall()

    def read_separately(self, query: str, *values: object) -> list[Row]:
        """Read over a separate connection, so that a long answer delays no other call."""
        with closing(_open(self._path)) as connection:
            return connection.execute(query, values).fetchall()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def _open(path: Path) -> sqlite3.Connection:
    # isolation_level=None: we say BEGIN ourselves. NORMAL with WAL loses nothing to a killed process.
    connection = sqlite3.connect(path, isolation_level=None, timeout=5, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def timestamp(after_seconds: float = 0) -> str:
    """The time in `after_seconds`, as it is stored: RFC 3339 text, which sorts as time."""
    return rfc3339(now() + timedelta(seconds=after_seconds))


def next_number(connection: sqlite3.Connection, bank: str, counter: str) -> int:
    """The next number of a bank's counter, from 1; a restart does not reset it."""
    row = connection.execute(
        "INSERT INTO counters (bank, name, value) VALUES (?, ?, 1)"
        " ON CONFLICT (bank, name) DO UPDATE SET value = value + 1 RETURNING value",
        (bank, counter),
    ).fetchone()
    return int(row["value"])
