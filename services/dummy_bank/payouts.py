"""Payouts: what the bank does with a transfer request, step by step, each step one database transaction.

A payout is accepted (PROCESSING) on arrival, so that an enquiry never answers "not found" about work under way. Then it
is paid or refused, and a paid one may be reversed later. Without idempotency every request pays again.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from typing import Literal

from services.dummy_bank import book, notice_queue
from services.dummy_bank.database import Row, timestamp
from services.dummy_bank.draws import Draws
from services.dummy_bank.errors import BankError
from services.dummy_bank.faults import Faults
from services.dummy_bank.settings import BankProfile
from shared.banks.account_numbers import masked
from shared.banks.messages import TRANSFER_NOT_FOUND, PayoutAnswer, PayoutRequest
from shared.banks.notices import PayoutNotice

REVERSAL_SECONDS = 0.5
"""The shortest time from a payout's success to its reversal."""

_REFUSALS = {
    "ACCOUNT_CLOSED": "The account is closed.",
    "ACCOUNT_NOT_FOUND": "There is no such account at the receiving bank.",
    "NAME_MISMATCH": "The account is in another name.",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What goes wrong with one payout call, drawn when it arrives."""

    latency_seconds: float
    fails_before_work: bool
    refusal: str | None
    hangs_after_work: bool
    answers_later: bool
    is_reversed: bool


def draw_plan(connection: sqlite3.Connection, bank: str, faults: Faults) -> Plan:
    """Draw the plan of one call. Every draw is made for every call, so that a changed rate leaves other draws alone."""
    draws = Draws(connection, bank, "payout", faults)
    refusal = draws.pick(tuple(_REFUSALS))
    return Plan(
        latency_seconds=draws.latency_seconds(faults),
        fails_before_work=draws.is_hit(faults.error_rate),
        refusal=refusal if draws.is_hit(faults.refuse_rate) else None,
        hangs_after_work=draws.is_hit(faults.timeout_after_rate),
        answers_later=draws.is_hit(faults.async_rate),
        is_reversed=draws.is_hit(faults.reversal_rate),
    )


def earlier_answer(connection: sqlite3.Connection, bank: str, asked: PayoutRequest) -> PayoutAnswer | None:
    """The answer that this reference already got. Raises BankError (409) when it was used for another payout."""
    row = connection.execute(
        "SELECT * FROM payouts WHERE bank = ? AND reference = ? ORDER BY id LIMIT 1", (bank, asked.reference)
    ).fetchone()
    if row is None:
        return None
    if row["asked"] != fingerprint(asked):
        raise BankError(409, "REFERENCE_REUSED", "This reference was used for another payout.")
    return answer_of(row)


def accept(connection: sqlite3.Connection, bank: str, asked: PayoutRequest, plan: Plan, faults: Faults) -> int:
    """Record the payout as under way and return its number. No money moves yet.

    Its due time is later than the call's own work; it matters only when the call was interrupted.
    """
    delay_seconds = faults.async_delay_ms / 1000 if plan.answers_later else plan.latency_seconds + 5
    done = connection.execute(
        "INSERT INTO payouts (bank, reference, asked, amount, status, code, message, will_refuse,"
        " will_reverse, due_at) VALUES (?, ?, ?, ?, 'PROCESSING', ?, ?, ?, ?, ?)",
        (
            bank,
            asked.reference,
            fingerprint(asked),
            asked.amount,
            plan.refusal,
            _REFUSALS[plan.refusal] if plan.refusal else None,
            plan.refusal is not None,
            plan.is_reversed,
            timestamp(delay_seconds),
        ),
    )
    return int(done.lastrowid or 0)


def pay_or_refuse(
    connection: sqlite3.Connection, profile: BankProfile, faults: Faults, number: int, *, with_notice: bool
) -> PayoutAnswer:
    """Pay or refuse, unless that is done already; `with_notice` when no caller waits for the answer."""
    row = _by_number(connection, number)
    if row["status"] != "PROCESSING":
        return answer_of(row)
    if row["will_refuse"]:
        connection.execute("UPDATE payouts SET status = 'FAILED', due_at = NULL WHERE id = ?", (number,))
    else:
        utr = book.next_utr(connection, profile.code, profile.utr_prefix)
        _move(connection, row, book.NODAL, book.OUTSIDE, utr)
        reversal_at = timestamp(max(faults.async_delay_ms / 1000, REVERSAL_SECONDS))
        connection.execute(
            "UPDATE payouts SET status = 'SUCCESS', utr = ?, due_at = ? WHERE id = ?",
            (utr, reversal_at if row["will_reverse"] else None, number),
        )
    row = _by_number(connection, number)
    if with_notice:
        notice_queue.enqueue(connection, faults, _notice(row, "success" if row["status"] == "SUCCESS" else "failure"))
    return answer_of(row)


def do_due_work(connection: sqlite3.Connection, profile: BankProfile, faults: Faults) -> None:
    """Pay or refuse the payouts that are due, and reverse those that are to be reversed."""
    due = connection.execute(
        "SELECT id, status FROM payouts WHERE due_at IS NOT NULL AND bank = ? AND due_at <= ? LIMIT 100",
        (profile.code, timestamp()),
    ).fetchall()
    for row in due:
        if row["status"] == "PROCESSING":
            pay_or_refuse(connection, profile, faults, row["id"], with_notice=True)
        else:
            _reverse(connection, profile, faults, row["id"])


def enquire(connection: sqlite3.Connection, bank: str, reference: str) -> PayoutAnswer:
    """The state of a payout; of several under one reference a paid one counts first.

    Raises BankError (404) when the bank accepted none under this reference.
    """
    row = connection.execute(
        "SELECT * FROM payouts WHERE bank = ? AND reference = ? ORDER BY CASE status WHEN 'SUCCESS' THEN 0"
        " WHEN 'PROCESSING' THEN 1 WHEN 'REVERSED' THEN 2 ELSE 3 END, id LIMIT 1",
        (bank, reference),
    ).fetchone()
    if row is None:
        raise BankError(404, TRANSFER_NOT_FOUND, "No transfer was accepted under this reference.")
    asked = json.loads(row["asked"])
    return answer_of(row).model_copy(
        update={
            "user_ref": _whose(connection, bank, reference, asked["account_number"]),
            "account_number": masked(asked["account_number"]),
            "ifsc": asked["ifsc"],
            "account_holder": asked["account_holder"],
        }
    )


def answer_of(row: Row) -> PayoutAnswer:
    """What the platform is told about a payout. A planned refusal is not told before it is made."""
    decided = row["status"] != "PROCESSING"
    return PayoutAnswer(
        status=row["status"],
        reference=row["reference"],
        amount=row["amount"],
        utr=row["utr"],
        code=row["code"] if decided else None,
        message=row["message"] if decided else None,
    )


def _whose(connection: sqlite3.Connection, bank: str, reference: str, account_number: str) -> str | None:
    """What the platform called the payee, as the call log has it; without a name the log has the account number."""
    call = connection.execute(
        "SELECT user_ref FROM calls WHERE bank = ? AND reference = ? ORDER BY id LIMIT 1", (bank, reference)
    ).fetchone()
    return None if call is None or call["user_ref"] == account_number else str(call["user_ref"])


def _reverse(connection: sqlite3.Connection, profile: BankProfile, faults: Faults, number: int) -> None:
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


def _notice(row: Row, event: Literal["success", "failure", "reversed"]) -> PayoutNotice:
    return PayoutNotice(
        bank=row["bank"],
        event=event,
        reference=row["reference"],
        utr=row["utr"],
        amount=row["amount"],
        reason=row["code"],
    )


def _by_number(connection: sqlite3.Connection, number: int) -> Row:
    row: Row = connection.execute("SELECT * FROM payouts WHERE id = ?", (number,)).fetchone()
    return row


def fingerprint(asked: PayoutRequest) -> str:
    """What two requests under one reference must have in common."""
    return json.dumps(asked.model_dump(exclude={"reference", "user_ref"}), sort_keys=True)
