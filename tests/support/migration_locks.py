"""What a migration does to tables that others use meanwhile, as Postgres itself tells of it.

A lock that writes wait for does no harm for a moment. It does while rows are read or written again, which takes as
long as the table is large. So each statement is watched: which tables its transaction has locked against writes, and
which it has scanned or rewritten. Tables that the migration itself made do not count.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, event

_LOOK = """
    SELECT relname, pg_stat_get_xact_numscans(oid) AS scans, pg_relation_filenode(oid) AS file, EXISTS (
        SELECT FROM pg_locks WHERE pid = pg_backend_pid() AND relation = pg_class.oid AND granted
        AND mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
    ) AS is_locked
    FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace
"""
_ALONE = {"25001", "2D000"}
"""It cannot run inside a transaction: it is CONCURRENTLY, or a DO block that commits row by row."""


@dataclass
class Watch:
    """What was found of the tables in `existing`: a sentence for each statement that may hold others up for long."""

    existing: set[str]
    found: list[str] = field(default_factory=list)
    _before: dict[str, tuple[int, int]] = field(default_factory=dict)

    def before(self, connection: Connection, statement: str) -> None:
        """It is about to be run. One that commits by itself is run in a transaction first, in which its locks show."""
        if not _commits_itself(connection):
            self._before = self._tables(connection)
            return
        cursor = connection.connection.cursor()
        cursor.execute("BEGIN")
        try:
            self._before = self._tables(connection)
            cursor.execute(statement)
            self._judge(connection, statement)
        except Exception as error:
            if getattr(error, "sqlstate", None) not in _ALONE:
                raise
        finally:
            cursor.execute("ROLLBACK")

    def after(self, connection: Connection, statement: str) -> None:
        """It has been run."""
        if not _commits_itself(connection):
            self._judge(connection, statement)

    def _judge(self, connection: Connection, statement: str) -> None:
        rows = [row for row in _look(connection) if row[0] in self.existing]
        locked = sorted(name for name, _, _, is_locked in rows if is_locked)
        read = sorted(name for name, scans, file, _ in rows if (scans, file) != self._before.get(name))
        is_change = statement.lstrip().upper().startswith(("UPDATE", "DELETE"))
        if read and (locked or is_change):
            why = f"while {', '.join(locked)} is locked" if locked else "in one transaction"
            self.found.append(f"{' '.join(statement.split())[:120]}: goes through {', '.join(read)} {why}")

    def _tables(self, connection: Connection) -> dict[str, tuple[int, int]]:
        return {name: (scans, file) for name, scans, file, _ in _look(connection)}


def _commits_itself(connection: Connection) -> bool:
    return connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT"


def _look(connection: Connection) -> list[Any]:
    cursor = connection.connection.cursor()  # the driver's own: the events are about the migration's statements
    cursor.execute(_LOOK)
    return list(cursor.fetchall())


@contextmanager
def watching(existing: set[str]) -> Iterator[Watch]:
    """Watches every statement of this process until the end of the block."""
    watch = Watch(existing)

    def before(connection: Connection, _: Any, statement: str, *_others: Any) -> None:
        watch.before(connection, statement)

    def after(connection: Connection, _: Any, statement: str, *_others: Any) -> None:
        watch.after(connection, statement)

    listeners = (("before_cursor_execute", before), ("after_cursor_execute", after))
    for name, listener in listeners:
        event.listen(Engine, name, listener)
    try:
        yield watch
    finally:
        for name, listener in listeners:
            event.remove(Engine, name, listener)
