"""The queue of notices to the platform: written in the transaction that makes them true, delivered later.

A notice keeps its webhook-id over all retries and duplicates. Its faults are drawn when it is written.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import asdict, dataclass
from typing import Any

from services.dummy_bank.database import Database, Row, timestamp
from services.dummy_bank.errors import BankSaysNo
from services.dummy_bank.fault_board import Dice, Faults
from shared.banks.notices import Notice, PaymentNotice, PayoutNotice
from shared.ids import new_id

OVERTAKEN_SECONDS = 2.0
"""How long a reordered notice waits at most for a newer one to overtake it."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One attempt's outcome; `status` is None when no answer came."""

    kind: str
    status: int | None
    answer: str

    @property
    def accepted(self) -> bool:
        """The platform has taken the true notice: a spoiled one counts for nothing."""
        return not self.is_spoiled and self.status is not None and 200 <= self.status < 300  # noqa: PLR2004

    @property
    def turned_away(self) -> bool:
        """The platform does not know of it, or finds it wrong: asking again would change nothing."""
        return not self.is_spoiled and self.status in (404, 422)

    @property
    def is_spoiled(self) -> bool:
        """A fault was at work: this was not what the bank meant to say."""
        return self.kind in ("wrong_amount", "bad_signature")


def enqueue(connection: sqlite3.Connection, faults: Faults, notice: Notice) -> None:
    """Queue `notice`, with whatever will go wrong on its way already decided."""
    dice = Dice(connection, notice.bank, "notice", faults)
    dropped = dice.falls(faults.webhook_drop_rate)
    overtaken = dice.falls(faults.webhook_reorder_rate)
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
            dice.falls(faults.webhook_duplicate_rate),
            dice.falls(faults.webhook_wrong_amount_rate),
            dice.falls(faults.webhook_bad_signature_rate),
        ),
    )


def notice_of(row: Row) -> Notice:
    """The notice kept in a row of the queue."""
    facts = json.loads(row["facts"])
    return PaymentNotice(**facts) if row["flow"] == "payment" else PayoutNotice(**facts)


def due(connection: sqlite3.Connection, bank: str, limit: int) -> list[Row]:
    """Notices to send now, the longest due first. A reordered one goes once a newer one has gone."""
    return connection.execute(
        "SELECT * FROM notices AS notice WHERE status = 'pending' AND bank = ? AND (due_at <= ? OR ("
        "  overtaken AND attempts = 0 AND EXISTS ("
        "    SELECT 1 FROM notices AS newer"
        "    WHERE newer.bank = notice.bank AND newer.id > notice.id AND newer.attempts > 0)))"
        " ORDER BY due_at, id LIMIT ?",
        (bank, timestamp(), limit),
    ).fetchall()


def record(connection: sqlite3.Connection, row: Row, deliveries: list[Delivery], retry_seconds: float | None) -> str:
    """Keep what was answered and return the notice's status after it. `retry_seconds` None: no more tries."""
    keep(connection, row["id"], deliveries)
    if any(delivery.accepted for delivery in deliveries):
        status = "delivered"
    elif any(delivery.turned_away for delivery in deliveries):
        status = "rejected"
    else:
        status = "exhausted" if retry_seconds is None else "pending"
    connection.execute(
        "UPDATE notices SET status = ?, attempts = attempts + 1, due_at = ? WHERE id = ?",
        (status, timestamp(retry_seconds or 0), row["id"]),
    )
    return status


def keep(connection: sqlite3.Connection, notice_id: int, deliveries: list[Delivery]) -> None:
    """Write deliveries down beside their notice."""
    for delivery in deliveries:
        connection.execute(
            "INSERT INTO deliveries (notice_id, at, kind, status, answer) VALUES (?, ?, ?, ?, ?)",
            (notice_id, timestamp(), delivery.kind, delivery.status, delivery.answer),
        )


def find(connection: sqlite3.Connection, bank: str, message_id: str) -> Row:
    """The notice with this webhook-id, or 404."""
    row: Row | None = connection.execute(
        "SELECT * FROM notices WHERE bank = ? AND message_id = ?", (bank, message_id)
    ).fetchone()
    if row is None:
        raise BankSaysNo(404, "NOTICE_NOT_FOUND", "There is no such notice.")
    return row


def queue_again(connection: sqlite3.Connection, row: Row) -> None:
    """Put an undelivered notice back at the head of the queue, without its faults. 409 when it was turned
    away: what it says is no longer true, the money went back."""
    if row["status"] == "rejected":
        raise BankSaysNo(409, "TURNED_AWAY", "The platform turned this notice away; the money was given back.")
    connection.execute(
        "UPDATE notices SET status = 'pending', attempts = 0, due_at = ?, overtaken = 0, duplicate = 0,"
        " wrong_amount = 0, bad_signature = 0 WHERE id = ?",
        (timestamp(), row["id"]),
    )


def newest(database: Database, bank: str, limit: int) -> list[dict[str, Any]]:
    """The newest notices, each with its deliveries, for people and tests to look at."""
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
