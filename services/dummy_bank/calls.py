"""The log of payout calls: when each began and ended, and for whom, so that overlap can be checked."""

from __future__ import annotations

import sqlite3

from services.dummy_bank.database import timestamp
from shared.banks.messages import PayoutRequest


def begin(connection: sqlite3.Connection, bank: str, asked: PayoutRequest) -> int:
    """A call has arrived; returns its number."""
    whose = asked.user_ref or asked.account_number
    done = connection.execute(
        "INSERT INTO calls (bank, reference, user_ref, amount, started_at) VALUES (?, ?, ?, ?, ?)",
        (bank, asked.reference, whose, asked.amount, timestamp()),
    )
    return int(done.lastrowid or 0)


def end(connection: sqlite3.Connection, number: int, outcome: str) -> None:
    """The call is answered, or its caller is gone."""
    connection.execute("UPDATE calls SET ended_at = ?, outcome = ? WHERE id = ?", (timestamp(), outcome, number))


def close_interrupted(connection: sqlite3.Connection) -> None:
    """At start-up: whatever was being answered when the process died has ended."""
    connection.execute("UPDATE calls SET ended_at = ?, outcome = 'interrupted' WHERE ended_at IS NULL", (timestamp(),))
