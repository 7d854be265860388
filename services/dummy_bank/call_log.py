"""The log of payout calls: when each began and ended, and for which user, so that overlap can be checked."""

from __future__ import annotations

import sqlite3
from typing import Annotated

from pydantic import AwareDatetime, Field

from services.dummy_bank.database import timestamp
from shared.banks.messages import MAX_LIST_ITEMS, PayoutRequest, Received

MAX_TRACEPARENT = 64
"""Letters. A longer one is none of W3C's."""


class CallLogItem(Received):
    """One payout call the bank received; `ended_at` is null while it is being answered."""

    reference: str
    user_ref: str
    amount: int
    started_at: AwareDatetime
    ended_at: AwareDatetime | None
    outcome: str
    traceparent: str | None = None
    """What the platform says of the trace that the call belongs to (W3C Trace Context)."""


class CallLog(Received):
    """All payout calls of a range, oldest first."""

    items: Annotated[list[CallLogItem], Field(max_length=MAX_LIST_ITEMS)]
    next_cursor: str | None = None


def begin(connection: sqlite3.Connection, bank: str, asked: PayoutRequest, traceparent: str | None) -> int:
    """Record that a call has arrived. Returns its number."""
    user_ref = asked.user_ref or asked.account_number
    done = connection.execute(
        "INSERT INTO calls (bank, reference, user_ref, amount, started_at) VALUES (?, ?, ?, ?, ?)",
        (bank, asked.reference, user_ref, asked.amount, timestamp()),
    )
    number = int(done.lastrowid or 0)
    if traceparent is not None:
        connection.execute("INSERT INTO call_traces VALUES (?, ?)", (number, traceparent[:MAX_TRACEPARENT]))
    return number


def end(connection: sqlite3.Connection, number: int, outcome: str) -> None:
    """Record that the call was answered, or that its caller hung up."""
    connection.execute("UPDATE calls SET ended_at = ?, outcome = ? WHERE id = ?", (timestamp(), outcome, number))


def close_interrupted(connection: sqlite3.Connection) -> None:
    """At start-up: record that the calls which were being answered when the process died have ended."""
    connection.execute("UPDATE calls SET ended_at = ?, outcome = 'interrupted' WHERE ended_at IS NULL", (timestamp(),))
