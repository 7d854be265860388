"""The messages of a bank's API: netbanking sessions, payouts and statements.

Batua and the bank simulator use the same models, so the two sides cannot drift apart. A message that we send rejects
unknown fields; a message from a bank may carry fields that we do not know. Both are checked strictly.
Amounts are integer paise; times are RFC 3339 in UTC. Read an answer with `Model.model_validate_json(body)`.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from shared.banks.account_numbers import AccountNumber, Ifsc, masked, masked_within
from shared.money import MAX_MOVEMENT_PAISE

MAX_LIST_ITEMS = 100_000
"""The most items that one answer of a bank lists."""

Identifier = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[\x21-\x7e]+$")]
"""A reference, token or UTR: visible ASCII, no blanks."""

PersonName = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]
MovementPaise = Annotated[int, Field(ge=1, le=MAX_MOVEMENT_PAISE)]

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_REPLACEMENT = "\ufffd"
_YEARS = range(2000, 9999)


def _storable(said: str) -> str:
    return _CONTROL.sub(_REPLACEMENT, said)


def _known_end(end: datetime | None) -> datetime | None:
    return end if end is not None and end.year in _YEARS else None


SaidText = Annotated[str, AfterValidator(_storable)]
"""Free text of a bank, with U+FFFD for each control character: Postgres stores no NUL, and an answer about money must
not be lost for it."""
Reason = Annotated[SaidText, AfterValidator(masked_within)]
"""Why something was not done. It is stored, shown and mailed, and a bank may name the account in it."""
ShortReason = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$"), AfterValidator(masked_within)]
SessionEnd = Annotated[AwareDatetime | None, AfterValidator(_known_end)]
"""When a session ends. The year 9999, with which some say "never", is no end: what is added to it has no date."""


class Sent(BaseModel):
    """A message of ours to a bank. Errors do not tell its values: one of them is an account number."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", hide_input_in_errors=True)


class Received(BaseModel):
    """A message of a bank to us."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class SessionRequest(Sent):
    """Ask for a netbanking session in which one person may pay us `amount` paise."""

    reference: Identifier
    user_id: Identifier
    amount: MovementPaise
    return_url: Annotated[str, Field(max_length=2048, pattern=r"^https?://[\x21-\x7e]+$")]


class SessionOpened(Received):
    """The session's token, the address of the bank's page for the person, and when the session ends undecided."""

    token: Identifier
    url: Annotated[str, Field(max_length=2048)]
    expires_at: SessionEnd = None


class SessionState(Received):
    """The state of a session. `declined` also means expired (reason EXPIRED), cancelled by us (CANCELLED), or returned
    because we did not take the money (GIVEN_BACK).
    """

    token: Identifier
    reference: Identifier
    user_id: Identifier
    amount: int
    status: Literal["pending", "approved", "declined"]
    bank_reference: Identifier | None = None
    reason: Reason | None = None
    expires_at: SessionEnd = None


class PayoutRequest(Sent):
    """Ask the bank to pay `amount` paise out of our nodal account.

    `user_ref` says whose payout it is, for the bank's call log; without it the account number stands in.
    """

    reference: Identifier
    account_number: AccountNumber
    ifsc: Ifsc
    account_holder: PersonName
    amount: MovementPaise
    user_ref: Identifier | None = None


class PayoutAnswer(Received):
    """The state of a payout, answered at once or on enquiry. FAILED and REVERSED are final: not paid.

    A bank may tell on enquiry whose payout it was, as it was asked: `user_ref`, and the account with its number masked.
    """

    status: Literal["SUCCESS", "PROCESSING", "FAILED", "REVERSED"]
    amount: int | None = None
    reference: str | None = None
    utr: Identifier | None = None
    code: Reason | None = None
    message: Reason | None = None
    user_ref: Identifier | None = None
    account_number: Annotated[str, AfterValidator(masked)] | None = None
    ifsc: Ifsc | None = None
    account_holder: PersonName | None = None


class Refusal(Received):
    """The body of every 4xx and 5xx of a bank."""

    code: Annotated[Reason, Field(max_length=100)]
    message: Annotated[Reason, Field(max_length=1000)] = ""


BANK_DOWN = "BANK_DOWN"
"""The error code of a bank that is down. It answers so before it does any work."""
TRANSFER_NOT_FOUND = "TRANSFER_NOT_FOUND"
"""With a 404 to an enquiry: the bank never accepted a payout under this reference."""
SESSION_NOT_FOUND = "SESSION_NOT_FOUND"
"""With a 404: the bank opened no such netbanking session."""


class StatementItem(Received):
    """One line of our nodal account's statement. CREDIT is money that came in for us."""

    at: AwareDatetime
    direction: Literal["CREDIT", "DEBIT"]
    amount: int
    reference: SaidText
    utr: SaidText
    balance_after: int


class Statement(Received):
    """All lines of the nodal account in a range, oldest first."""

    items: Annotated[list[StatementItem], Field(max_length=MAX_LIST_ITEMS)]
    next_cursor: str | None = None
