"""Netbanking: the platform opens a session, the person decides in it once, a notice tells the platform."""

from __future__ import annotations

import hmac
import sqlite3

from services.dummy_bank import book, notice_queue
from services.dummy_bank.database import Row, timestamp
from services.dummy_bank.errors import BankError
from services.dummy_bank.faults import Faults
from services.dummy_bank.settings import BankProfile
from shared.banks.messages import SESSION_NOT_FOUND, SessionRequest, SessionState
from shared.banks.notices import PaymentNotice
from shared.ids import new_token


class WrongCredentials(Exception):
    """The customer does not exist, or the password is wrong."""


class AlreadyDecided(Exception):
    """The session was approved or declined, or it has expired."""


def open_session(connection: sqlite3.Connection, bank: str, asked: SessionRequest, lifetime_seconds: float) -> str:
    """Open a session and return its token. The same request again gets the same session.

    Raises BankError (409) when the reference was used for another session.
    """
    found = connection.execute(
        "SELECT * FROM sessions WHERE bank = ? AND reference = ?", (bank, asked.reference)
    ).fetchone()
    if found is not None:
        if all(found[name] == value for name, value in asked.model_dump().items()):
            return str(found["token"])
        raise BankError(409, "REFERENCE_REUSED", "This reference was used for another session.")
    token = new_token()
    connection.execute(
        "INSERT INTO sessions (token, bank, reference, user_id, amount, return_url, expires_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            token,
            bank,
            asked.reference,
            asked.user_id,
            asked.amount,
            asked.return_url,
            timestamp(lifetime_seconds),
        ),
    )
    return token


def find_session(connection: sqlite3.Connection, bank: str, token: str) -> Row:
    """The session with this token. Raises BankError (404)."""
    row: Row | None = connection.execute(
        "SELECT * FROM sessions WHERE bank = ? AND token = ?", (bank, token)
    ).fetchone()
    if row is None:
        raise BankError(404, SESSION_NOT_FOUND, "There is no such session.")
    return row


def find_session_of(connection: sqlite3.Connection, bank: str, reference: str) -> Row:
    """The session that the platform opened under this reference. Raises BankError (404)."""
    row: Row | None = connection.execute(
        "SELECT * FROM sessions WHERE bank = ? AND reference = ?", (bank, reference)
    ).fetchone()
    if row is None:
        raise BankError(404, SESSION_NOT_FOUND, "No session was opened under this reference.")
    return row


def state_of(row: Row) -> SessionState:
    """The answer to the platform's enquiry."""
    names = SessionState.model_fields.keys() & set(row.keys())
    return SessionState.model_validate({name: row[name] for name in names}, strict=False)


def decide(
    connection: sqlite3.Connection,
    profile: BankProfile,
    faults: Faults,
    *,
    token: str,
    customer_id: str,
    password: str,
    approve: bool,
) -> Row:
    """Carry out the person's decision, once. An approval without enough money is declined.

    Returns the session as it was before. Raises AlreadyDecided, WrongCredentials.
    """
    session = find_session(connection, profile.code, token)
    if session["status"] != "pending" or session["expires_at"] <= timestamp():
        raise AlreadyDecided
    person = book.CUSTOMERS.get(customer_id)
    known = person.password if person else ""
    if not hmac.compare_digest(known.encode(), password.encode("utf-8", "replace")) or person is None:
        raise WrongCredentials
    if not approve:
        _decline(connection, profile, faults, session, "DECLINED_BY_CUSTOMER")
    elif book.balance(connection, profile.code, person.account) < session["amount"]:
        _decline(connection, profile, faults, session, "INSUFFICIENT_FUNDS")
    else:
        _approve(connection, profile, faults, session, person)
    return session


def expire_sessions(connection: sqlite3.Connection, profile: BankProfile, faults: Faults) -> None:
    """Decline the sessions whose time to decide is over."""
    late = connection.execute(
        "SELECT * FROM sessions WHERE status = 'pending' AND bank = ? AND expires_at <= ? LIMIT 100",
        (profile.code, timestamp()),
    ).fetchall()
    for session in late:
        _decline(connection, profile, faults, session, "EXPIRED")


def cancel_session(connection: sqlite3.Connection, profile: BankProfile, faults: Faults, token: str) -> SessionState:
    """End an undecided session, for the platform. Answers its state, also when it was decided before.

    Raises BankError (404).
    """
    session = find_session(connection, profile.code, token)
    if session["status"] == "pending":
        is_late = session["expires_at"] <= timestamp()
        _decline(connection, profile, faults, session, "EXPIRED" if is_late else "CANCELLED")
    return state_of(find_session(connection, profile.code, token))


def return_payment(connection: sqlite3.Connection, profile: BankProfile, token: str) -> None:
    """Return a payment that the platform rejected to the person, once; does nothing when none was made."""
    session = find_session(connection, profile.code, token)
    if session["status"] != "approved":
        return
    account = book.CUSTOMERS[session["customer"]].account
    utr = book.next_utr(connection, profile.code, profile.utr_prefix)
    amount, reference = session["amount"], session["reference"]
    book.post(connection, profile.code, book.NODAL, account, amount=amount, reference=reference, utr=utr)
    connection.execute("UPDATE sessions SET status = 'declined', reason = 'GIVEN_BACK' WHERE token = ?", (token,))


def _approve(
    connection: sqlite3.Connection, profile: BankProfile, faults: Faults, session: Row, person: book.Customer
) -> None:
    bank_reference = book.next_utr(connection, profile.code, profile.utr_prefix)
    amount, reference = session["amount"], session["reference"]
    book.post(
        connection,
        profile.code,
        person.account,
        book.NODAL,
        amount=amount,
        reference=reference,
        utr=bank_reference,
    )
    connection.execute(
        "UPDATE sessions SET status = 'approved', bank_reference = ?, customer = ? WHERE token = ?",
        (bank_reference, person.customer_id, session["token"]),
    )
    notice = PaymentNotice(profile.code, "success", session["token"], session["user_id"], amount, bank_reference)
    notice_queue.enqueue(connection, faults, notice)


def _decline(connection: sqlite3.Connection, profile: BankProfile, faults: Faults, session: Row, reason: str) -> None:
    bank_reference = book.next_utr(connection, profile.code, profile.utr_prefix)
    connection.execute(
        "UPDATE sessions SET status = 'declined', reason = ?, bank_reference = ? WHERE token = ?",
        (reason, bank_reference, session["token"]),
    )
    notice = PaymentNotice(
        profile.code, "failure", session["token"], session["user_id"], session["amount"], bank_reference, reason
    )
    notice_queue.enqueue(connection, faults, notice)
