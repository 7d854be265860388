"""The bank's own book. Every posting moves money between two accounts, both sides or neither.

The nodal account is the platform's money at this bank. It starts at 0 and may be negative, as
with an overdraft: the platform may pay out money that did not come in through this bank.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime

from services.dummy_bank.database import next_number, timestamp
from shared.clock import now, rfc3339

NODAL = "nodal"
OUTSIDE = "outside"
"""All accounts at other banks; also the source of the customers' opening balances."""


@dataclass(frozen=True, slots=True)
class Customer:
    """A person with an account at the bank. They are for demos, so their passwords are public."""

    customer_id: str
    password: str
    name: str
    opening_paise: int

    @property
    def account(self) -> str:
        """The name of the person's account in the book."""
        return f"customer:{self.customer_id}"


CUSTOMERS = {
    person.customer_id: person
    for person in (
        Customer("demo", "demo", "Demo Customer", 1_000_00_00_000_00),
        Customer("alice", "alice", "Alice Fernandes", 50_000_00),
        Customer("bob", "bob", "Bob Nair", 5_000_00),
        Customer("poor", "poor", "Poor Customer", 100_00),
    )
}


def open_accounts(connection: sqlite3.Connection, bank: str, utr_prefix: str) -> None:
    """Open the bank's accounts that do not exist yet. Every start calls this."""
    for name in (NODAL, OUTSIDE):
        connection.execute("INSERT OR IGNORE INTO accounts VALUES (?, ?, 0, 1)", (bank, name))
    for person in CUSTOMERS.values():
        opened = connection.execute("INSERT OR IGNORE INTO accounts VALUES (?, ?, 0, 0)", (bank, person.account))
        if opened.rowcount:
            utr = next_utr(connection, bank, utr_prefix)
            post(
                connection,
                bank,
                OUTSIDE,
                person.account,
                amount=person.opening_paise,
                reference="opening",
                utr=utr,
            )


def post(
    connection: sqlite3.Connection,
    bank: str,
    debit: str,
    credit: str,
    *,
    amount: int,
    reference: str,
    utr: str,
    at: datetime | None = None,
) -> None:
    """Move `amount` paise from `debit` to `credit`, now or with the time `at`, in the caller's database transaction.

    Raises `sqlite3.IntegrityError` when the debited account lacks the money.
    """
    move = "UPDATE accounts SET balance = balance + ? WHERE bank = ? AND name = ?"
    connection.execute(move, (-amount, bank, debit))
    connection.execute(move, (amount, bank, credit))
    booked_at = timestamp() if at is None else rfc3339(at)
    connection.execute(
        "INSERT INTO postings (bank, at, debit, credit, amount, reference, utr, nodal_balance_after)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (bank, booked_at, debit, credit, amount, reference, utr, balance(connection, bank, NODAL)),
    )


def balance(connection: sqlite3.Connection, bank: str, account: str) -> int:
    """The balance of an account, in paise."""
    row = connection.execute("SELECT balance FROM accounts WHERE bank = ? AND name = ?", (bank, account)).fetchone()
    return int(row["balance"])


def next_utr(connection: sqlite3.Connection, bank: str, prefix: str) -> str:
    """A new UTR in the form that NEFT uses: bank, `N`, year, day of the year, serial number."""
    return f"{prefix}N{now():%y%j}{next_number(connection, bank, 'utr'):06d}"
