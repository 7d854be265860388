"""Tell the audit trail of refused sign-ins, passwords and PINs, wherever they are refused."""

from __future__ import annotations

from types import TracebackType
from uuid import UUID

from shared.audit.kinds import Kind
from shared.audit.trail import trail
from shared.auth.errors import (
    BadCredentials,
    CurrentPasswordIncorrect,
    PinIncorrect,
    PinLocked,
    TooManyAttempts,
    TooManyConfirmationMails,
    TooManySignUps,
    WrongSecondFactor,
)
from shared.auth.networks import network_of

_KINDS: dict[type[BaseException], Kind] = {
    BadCredentials: Kind.SIGN_IN_FAILED,
    CurrentPasswordIncorrect: Kind.PASSWORD_WRONG,
    PinIncorrect: Kind.PIN_WRONG,
    PinLocked: Kind.PIN_LOCKED,
    WrongSecondFactor: Kind.SECOND_FACTOR_WRONG,
    TooManyAttempts: Kind.LIMIT_HIT,
    TooManyConfirmationMails: Kind.LIMIT_HIT,
    TooManySignUps: Kind.LIMIT_HIT,
}
_LIMITS: dict[type[BaseException], str] = {
    TooManyAttempts: "attempts",
    TooManyConfirmationMails: "confirmation_mails",
    TooManySignUps: "sign_ups",
}


class RefusalsAudited:
    """Inside the block, a refusal is recorded and raised on. `owner_id` is None for an email that no account has.

    Without an address it is that of the request which is being served.
    """

    __slots__ = ("address", "owner_id")

    def __init__(self, *, owner_id: UUID | None = None, address: str = "") -> None:
        self.owner_id = owner_id
        self.address = address

    def __enter__(self) -> RefusalsAudited:
        return self

    def __exit__(self, kind: type[BaseException] | None, _error: object, _trace: TracebackType | None) -> None:
        if kind in _KINDS:
            record(_KINDS[kind], owner_id=self.owner_id, address=self.address, what=_LIMITS.get(kind))


def record(kind: Kind, *, owner_id: UUID | None, address: str = "", what: str | None = None) -> None:
    """Record what happened; of an IPv6 address the /64 network, of "" that of the request which is being served."""
    trail.record(kind, what=what, owner_id=owner_id, address=network_of(address) if address else None)
