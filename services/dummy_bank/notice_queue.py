"""The queue of notices to the platform: written together with what they report, sent later.

A notice keeps its webhook-id over all retries and duplicates. Its faults are drawn when it is written.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict, dataclass
from typing import Any

from services.dummy_bank.database import Database, Row, timestamp
from services.dummy_bank.draws import Draws
from services.dummy_bank.errors import BankError
from services.dummy_bank.faults import Faults
from shared.banks.notices import Notice, PaymentNotice, PayoutNotice
from shared.ids import new_id

OVERTAKEN_SECONDS = 2.0
"""How long a reordered notice waits at most for a newer one to overtake it."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to deliver a notice and its answer; `status` is None when no answer came."""

    kind: str
    status: int | None
    answer: str

    @property
    def is_accepted(self) -> bool:
        """The platform has accepted the true notice; a spoiled attempt does not count."""
        return not self.is_spoiled and self.status is not None and 200 <= self.status < 300  # noqa: PLR2004

    @property
    def is_rejected(self) -> bool:
        """The platform does not know what the notice is about, or finds it wrong: another attempt changes nothing."""
        return not self.is_spoiled and self.status in (404, 422)

    @property
    def is_spoiled(self) -> bool:
        """A fault changed what was sent."""
        return self.kind in ("wrong_amount", "bad_signature")


def enqueue(connection: sqlite3.Connection, faults: Faults, notice: Notice) -> None:
    """Queue `notice`. What will go wrong on its way is decided now."""
    draws = Draws(connection, notice.bank, "notice", faults)
    dropped = draws.is_hit(faults.webhook_drop_rate)
    overtaken = draws.is_hit(faults.webhook_reorder_rate)
    wait_seconds = faults.webhook_delay_ms / 1000 + (OVERTAKEN_SECONDS if overtaken else 0)
    connection.execute(
        "INSERT INTO notices (message_id, bank, flow, facts, status, created_at, due_at, overtaken,"
        " duplicate, wrong_amount, bad_signature) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            f"msg_{new_id().hex}",
            notice.bank,
            "payment" if isinstance(notice, PaymentNotice) else "payout",
            json.dumps(asdict(notice)),
            "dropped" if dropped else "pending",
            timestamp(),
            timestamp(wait_seconds),
            overtaken,
            draws.is_hit(faults.webhook_duplicate_rate),
            draws.is_hit(faults.webhook_wrong_amount_rate),
            draws.is_hit(faults.webhook_bad_signature_rate),
        ),
    )


def notice_of(row: Row) -> Notice:
    """The notice that a row of the queue holds."""
    facts = json.loads(row["facts"])
    return PaymentNotice(**facts) if row["flow"] == "payment" else PayoutNotice(**facts)


def due(connection: sqlite3.Connection, bank: str, limit: int) -> list[Row]:
    """The notices to send now, the longest due first. A reordered notice is due once a newer one was sent."""
    return connection.execute(
        "SELECT * FROM notices AS notice WHERE status = 'pending' AND bank = ? AND (due_at <= ? OR ("
        "  overtaken AND attempts = 0 AND EXISTS ("
        "    SELECT 1 FROM notices AS newer"
        "    WHERE newer.bank = notice.bank AND newer.id > notice.id AND newer.attempts > 0)))"
        " ORDER BY due_at, id LIMIT ?",
        (bank, timestamp(), limit),
    ).fetchall()


def record(connection: sqlite3.Connection, row: Row, attempts: list[Attempt], retry_seconds: float | None) -> str:
    """Store the attempts and return the notice's new status. Without `retry_seconds` no attempt follows."""
    store(connection, row["id"], attempts)
    if any(attempt.is_accepted for attempt in attempts):
        status = "delivered"
    elif any(attempt.is_rejected for attempt in attempts):
        status = "rejected"
    else:
        status = "exhausted" if retry_seconds is None else "pending"
    connection.execute(
        "UPDATE notices SET status = ?, attempts = attempts + 1, due_at = ? WHERE id = ?",
        (status, timestamp(retry_seconds or 0), row["id"]),
    )
    return status


def store(connection: sqlite3.Connection, notice_id: int, attempts: list[Attempt]) -> None:
    """Store attempts beside their notice."""
    for attempt in attempts:
        connection.execute(
            "INSERT INTO deliveries (notice_id, at, kind, status, answer) VALUES (?, ?, ?, ?, ?)",
            (notice_id, timestamp(), attempt.kind, attempt.status, attempt.answer),
        )


def find(connection: sqlite3.Connection, bank: str, message_id: str) -> Row:
    """The row of the notice with this webhook-id. Raises BankError (404)."""
    row: Row | None = connection.execute(
        "SELECT * FROM notices WHERE bank = ? AND message_id = ?", (bank, message_id)
    ).fetchone()
    if row is None:
        raise BankError(404, "NOTICE_NOT_FOUND", "There is no such notice.")
    return row


def queue_again(connection: sqlite3.Connection, row: Row) -> None:
    """Make an undelivered notice due now, without its faults.

    Raises BankError (409) when the platform rejected it: the money was returned, so the notice is no longer true.
    """
    if row["status"] == "rejected":
        raise BankError(409, "TURNED_AWAY", "The platform turned this notice away; the money was given back.")
    connection.execute(
        "UPDATE notices SET status = 'pending', attempts = 0, due_at = ?, overtaken = 0, duplicate = 0,"
        " wrong_amount = 0, bad_signature = 0 WHERE id = ?",
        (timestamp(), row["id"]),
    )


def newest(database: Database, bank: str, limit: int) -> list[dict[str, Any]]:
    """The newest notices, each with its attempts, for the console and for tests."""
    rows = database.rows("SELECT * FROM notices WHERE bank = ? ORDER BY id DESC LIMIT ?", bank, limit)
    made = database.rows(
        "SELECT * FROM deliveries WHERE notice_id IN"
        " (SELECT id FROM notices WHERE bank = ? ORDER BY id DESC LIMIT ?) ORDER BY id",
        bank,
        limit,
    )
    by_notice: dict[int, list[dict[str, Any]]] = {}
    for delivery in made:
        shown = {name: delivery[name] for name in ("at", "kind", "status", "answer")}
        by_notice.setdefault(delivery["notice_id"], []).append(shown)
    return [
        {
            **{name: row[name] for name in ("message_id", "flow", "status", "attempts", "created_at")},
            "notice": json.loads(row["facts"]),
            "deliveries": by_notice.get(row["id"], []),
        }
        for row in rows
    ]
