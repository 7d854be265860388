"""The log of payout calls: when each began and ended, and for whom, so that overlap can be checked."""

from __future__ import annotations

import sqlite3
from typing import Annotated

from pydantic import AwareDatetime, Field

from services.dummy_bank.database import timestamp
from shared.banks.messages import MAX_LIST_ITEMS, PayoutRequest, Received


class CallLogItem(Received):
    """One payout call the bank received; `ended_at` is null while it is being answered."""

    reference: str
    user_ref: str
    amount: int
    started_at: AwareDatetime
    ended_at: AwareDatetime | None
    outcome: str


class CallLog(Received):
    """The payout calls of a range, oldest first, whole."""

    items: Annotated[list[CallLogItem], Field(max_length=MAX_LIST_ITEMS)]
    next_cursor: str | None = None


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
