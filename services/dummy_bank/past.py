"""Past payments and payouts that are entered afterwards, so that sample data of the platform has its lines here.

No real bank has such an operation. The lines get the times that the caller names; nothing is sent to the platform.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.dummy_bank import book
from services.dummy_bank.book import CUSTOMERS, NODAL, OUTSIDE
from services.dummy_bank.errors import BankError
from services.dummy_bank.payouts import fingerprint
from services.dummy_bank.times import Time
from shared.banks.messages import Identifier, PayoutRequest, SessionRequest
from shared.clock import now, rfc3339

MAX_ITEMS = 200
"""Of each kind in one request."""
_CUSTOMER = CUSTOMERS["demo"]


class PastPayment(SessionRequest):
    """A netbanking session that the demo customer has decided."""

    token: Identifier
    bank_reference: Identifier
    status: Literal["approved", "declined"]
    at: Time


class PastPayout(PayoutRequest):
    """A payout with its outcome. `reversed_at`: when the money of a REVERSED one came back."""

    status: Literal["SUCCESS", "FAILED", "REVERSED"]
    utr: Identifier | None = None
    code: Annotated[str | None, Field(max_length=100)] = None
    at: Time
    reversed_at: Time | None = None


class Past(BaseModel):
    """What happened before. A reference that the bank knows already is left as it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    payments: Annotated[list[PastPayment], Field(max_length=MAX_ITEMS)]
    payouts: Annotated[list[PastPayout], Field(max_length=MAX_ITEMS)]


class Added(BaseModel):
    """How many of the items were new to the bank."""

    added: int


def enter(connection: sqlite3.Connection, bank: str, past: Past) -> int:
    """Enter what the bank does not know yet, in the order of time; returns how many items that were.

    Inside a transaction. Raises BankError for a time in the future, a token in use, and a payment that the demo
    customer cannot afford.
    """
    payments = [each for each in past.payments if not _is_known(connection, "sessions", bank, each.reference)]
    payouts = [each for each in past.payouts if not _is_known(connection, "payouts", bank, each.reference)]
    lines = [line for payment in payments for line in _lines_of_payment(payment)]
    lines += [line for payout in payouts for line in _lines_of_payout(payout)]
    if any(line.at > now() for line in lines):
        raise BankError(422, "INVALID", "This has not happened yet.")
    try:
        for payment in payments:
            _enter_session(connection, bank, payment)
        for payout in payouts:
            _enter_payout(connection, bank, payout)
        for line in sorted(lines, key=lambda each: each.at):
            amount, reference = line.amount, line.reference
            book.post(
                connection, bank, line.debit, line.credit, amount=amount, reference=reference, utr=line.utr, at=line.at
            )
    except sqlite3.IntegrityError:
        raise BankError(409, "NOT_POSSIBLE", "A token is in use, or the customer cannot afford it.") from None
    return len(payments) + len(payouts)


@dataclass(frozen=True, slots=True)
class _Line:
    """One posting to make."""

    at: datetime
    debit: str
    credit: str
    amount: int
    reference: str
    utr: str


def _lines_of_payment(payment: PastPayment) -> list[_Line]:
    if payment.status == "declined":
        return []
    return [_Line(payment.at, _CUSTOMER.account, NODAL, payment.amount, payment.reference, payment.bank_reference)]


def _lines_of_payout(payout: PastPayout) -> list[_Line]:
    if payout.status == "FAILED":
        return []
    utr = payout.utr or payout.reference
    paid = _Line(payout.at, NODAL, OUTSIDE, payout.amount, payout.reference, utr)
    if payout.status == "SUCCESS":
        return [paid]
    return [paid, _Line(payout.reversed_at or payout.at, OUTSIDE, NODAL, payout.amount, payout.reference, utr)]


def _is_known(connection: sqlite3.Connection, table: Literal["sessions", "payouts"], bank: str, reference: str) -> bool:
    query = f"SELECT 1 FROM {table} WHERE bank = ? AND reference = ?"  # noqa: S608 - one of two names
    return connection.execute(query, (bank, reference)).fetchone() is not None


def _enter_session(connection: sqlite3.Connection, bank: str, payment: PastPayment) -> None:
    declined = payment.status == "declined"
    connection.execute(
        "INSERT INTO sessions (token, bank, reference, user_id, amount, return_url, status, reason, bank_reference,"
        " customer, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            payment.token,
            bank,
            payment.reference,
            payment.user_id,
            payment.amount,
            payment.return_url,
            payment.status,
            "DECLINED_BY_CUSTOMER" if declined else None,
            payment.bank_reference,
            None if declined else _CUSTOMER.customer_id,
            rfc3339(payment.at),
        ),
    )


def _enter_payout(connection: sqlite3.Connection, bank: str, payout: PastPayout) -> None:
    asked = PayoutRequest.model_validate(payout.model_dump(include=set(PayoutRequest.model_fields)))
    connection.execute(
        "INSERT INTO payouts (bank, reference, asked, amount, status, utr, code) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (bank, payout.reference, fingerprint(asked), payout.amount, payout.status, payout.utr, payout.code),
    )
