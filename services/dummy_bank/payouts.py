"""Payouts: what the bank does with a transfer it was asked for, step by step, each step one transaction.

Accepted (PROCESSING) on arrival, so that an enquiry never says "not found" about work under way; then
paid or refused; perhaps sent back later. With idempotency switched off every request pays anew.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass

from services.dummy_bank import book, notice_queue
from services.dummy_bank.database import Row, timestamp
from services.dummy_bank.errors import BankSaysNo
from services.dummy_bank.fault_board import Dice, Faults
from services.dummy_bank.settings import BankProfile
from shared.banks.messages import TRANSFER_NOT_FOUND, PayoutAnswer, PayoutRequest
from shared.banks.notices import PayoutNotice

REVERSAL_SECONDS = 0.5
"""The least time between a payout's success and its coming back."""

_REFUSALS = {
    "ACCOUNT_CLOSED": "The account is closed.",
    "ACCOUNT_NOT_FOUND": "There is no such account at the receiving bank.",
    "NAME_MISMATCH": "The account is in another name.",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What will go wrong with one payout call, drawn on its arrival."""

    latency_seconds: float
    stumbles: bool
    refusal: str | None
    hangs_after_work: bool
    later: bool
    comes_back: bool


def draw_plan(connection: sqlite3.Connection, bank: str, faults: Faults) -> Plan:
    """Every draw is made for every call, so that changing one rate leaves the others' draws alone."""
    dice = Dice(connection, bank, "payout", faults)
    refusal = dice.pick(tuple(_REFUSALS))
    return Plan(
        latency_seconds=dice.latency_seconds(faults),
        stumbles=dice.falls(faults.error_rate),
        refusal=refusal if dice.falls(faults.refuse_rate) else None,
        hangs_after_work=dice.falls(faults.timeout_after_rate),
        later=dice.falls(faults.async_rate),
        comes_back=dice.falls(faults.reversal_rate),
    )


def earlier(connection: sqlite3.Connection, bank: str, asked: PayoutRequest) -> PayoutAnswer | None:
    """The answer this reference already got; 409 when it was used for something else."""
    row = connection.execute(
        "SELECT * FROM payouts WHERE bank = ? AND reference = ? ORDER BY id LIMIT 1", (bank, asked.reference)
    ).fetchone()
    if row is None:
        return None
    if row["asked"] != _fingerprint(asked):
        raise BankSaysNo(409, "REFERENCE_REUSED", "This reference was used for another payout.")
    return answer_of(row)


def accept(connection: sqlite3.Connection, bank: str, asked: PayoutRequest, plan: Plan, faults: Faults) -> int:
    """Note the payout as under way and return its number. Nothing has moved yet.

    Its due time lies after this call has done the work itself; it counts only when the call was cut off.
    """
    delay_seconds = faults.async_delay_ms / 1000 if plan.later else plan.latency_seconds + 5
    done = connection.execute(
        "INSERT INTO payouts (bank, reference, asked, amount, status, code, message, will_refuse,"
        " will_reverse, due_at) VALUES (?, ?, ?, ?, 'PROCESSING', ?, ?, ?, ?, ?)",
        (
            bank,
            asked.reference,
            _fingerprint(asked),
            asked.amount,
            plan.refusal,
            _REFUSALS[plan.refusal] if plan.refusal else None,
            plan.refusal is not None,
            plan.comes_back,
            timestamp(delay_seconds),
        ),
    )
    return int(done.lastrowid or 0)


def carry_out(
    connection: sqlite3.Connection, profile: BankProfile, faults: Faults, number: int, *, tell: bool
) -> PayoutAnswer:
    """Pay or refuse, unless that is done already. `tell`: by a notice, because nobody waits for the answer."""
    row = _by_number(connection, number)
    if row["status"] != "PROCESSING":
        return answer_of(row)
    if row["will_refuse"]:
        connection.execute("UPDATE payouts SET status = 'FAILED', due_at = NULL WHERE id = ?", (number,))
    else:
        utr = book.next_utr(connection, profile.code, profile.utr_prefix)
        _move(connection, row, book.NODAL, book.OUTSIDE, utr)
        back_at = timestamp(max(faults.async_delay_ms / 1000, REVERSAL_SECONDS))
        connection.execute(
            "UPDATE payouts SET status = 'SUCCESS', utr = ?, due_at = ? WHERE id = ?",
            (utr, back_at if row["will_reverse"] else None, number),
        )
    row = _by_number(connection, number)
    if tell:
        event = "success" if row["status"] == "SUCCESS" else "failure"
        notice_queue.enqueue(connection, faults, _notice(row, event))
    return answer_of(row)


def take_up_due(connection: sqlite3.Connection, profile: BankProfile, faults: Faults) -> None:
    """Do the work that was put off, and send back what is to come back."""
    due = connection.execute(
        "SELECT id, status FROM payouts WHERE due_at IS NOT NULL AND bank = ? AND due_at <= ? LIMIT 100",
        (profile.code, timestamp()),
    ).fetchall()
    for row in due:
        if row["status"] == "PROCESSING":
            carry_out(connection, profile, faults, row["id"], tell=True)
        else:
            _send_back(connection, profile, faults, row["id"])


def enquire(connection: sqlite3.Connection, bank: str, reference: str) -> PayoutAnswer:
    """How the payout stands; paid wins over refused when there are several. 404 when never accepted."""
    row = connection.execute(
        "SELECT * FROM payouts WHERE bank = ? AND reference = ? ORDER BY CASE status WHEN 'SUCCESS' THEN 0"
        " WHEN 'PROCESSING' THEN 1 WHEN 'REVERSED' THEN 2 ELSE 3 END, id LIMIT 1",
        (bank, reference),
    ).fetchone()
    if row is None:
        raise BankSaysNo(404, TRANSFER_NOT_FOUND, "No transfer was accepted under this reference.")
    return answer_of(row)


def answer_of(row: Row) -> PayoutAnswer:
    """What the platform is told about a payout. A refusal to come is not told before it is decided."""
    decided = row["status"] != "PROCESSING"
    return PayoutAnswer(
        status=row["status"],
        reference=row["reference"],
        amount=row["amount"],
        utr=row["utr"],
        code=row["code"] if decided else None,
        message=row["message"] if decided else None,
    )


def _send_back(connection: sqlite3.Connection, profile: BankProfile, faults: Faults, number: int) -> None:
    row = _by_number(connection, number)
    _move(connection, row, book.OUTSIDE, book.NODAL, row["utr"])
    connection.execute(
        "UPDATE payouts SET status = 'REVERSED', code = 'RETURNED', message = ?, due_at = NULL WHERE id = ?",
        ("The receiving bank sent the money back.", number),
    )
    notice_queue.enqueue(connection, faults, _notice(_by_number(connection, number), "reversed"))


def _move(connection: sqlite3.Connection, row: Row, debit: str, credit: str, utr: str) -> None:
    amount, reference = row["amount"], row["reference"]
    book.post(connection, row["bank"], debit, credit, amount=amount, reference=reference, utr=utr)


def _notice(row: Row, event: str) -> PayoutNotice:
    # mypy cannot follow a plain str into the Literal; the three callers name the three events.
    return PayoutNotice(
        bank=row["bank"],
        event=event,  # type: ignore[arg-type]
        reference=row["reference"],
        utr=row["utr"],
        amount=row["amount"],
        reason=row["code"],
    )


def _by_number(connection: sqlite3.Connection, number: int) -> Row:
    row: Row = connection.execute("SELECT * FROM payouts WHERE id = ?", (number,)).fetchone()
    return row


def _fingerprint(asked: PayoutRequest) -> str:
    return json.dumps(asked.model_dump(exclude={"reference", "user_ref"}), sort_keys=True)
