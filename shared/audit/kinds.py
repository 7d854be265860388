"""What the audit trail tells of."""

from __future__ import annotations

from enum import StrEnum

MANY_GUESSES = 100
MANY_DEEDS = 1_000
RECOVERY_SETTLE = "recovery settle"
"""`what` of the command that settles what a bank did: its facts say why money was parked in suspense."""


class Kind(StrEnum):
    """What happened."""

    SIGNED_UP = "signed_up"
    SIGN_IN_SUCCEEDED = "sign_in_succeeded"
    SIGN_IN_FAILED = "sign_in_failed"
    """A wrong password, or an email that no account has."""
    SESSION_ENDED = "session_ended"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a name
    PASSWORD_WRONG = "password_wrong"  # noqa: S105 - a name
    """The current password, given by an owner who is signed in, was wrong."""
    PIN_CHANGED = "pin_changed"
    PIN_WRONG = "pin_wrong"
    PIN_LOCKED = "pin_locked"
    """The PIN was tried while it was locked."""
    SECOND_FACTOR_WRONG = "second_factor_wrong"
    """The password was right, the code of the authenticator was not."""
    RECOVERY_CODE_USED = "recovery_code_used"
    """In place of the code of an authenticator; `what` says how many are left."""
    EMAIL_CONFIRMATION_ASKED = "email_confirmation_asked"
    """A link was sent to an address, so that it is confirmed; `what` says why."""
    EMAIL_CONFIRMED = "email_confirmed"
    LIMIT_HIT = "limit_hit"
    """A limit on attempts, or a quota; `what` says which."""
    OPERATOR_COMMAND = "operator_command"

    @property
    def most_distinct(self) -> int:
        """So many (owner, address) of a window are told apart. Guesses cost a stranger nothing, deeds need a secret."""
        return MANY_GUESSES if self in _GUESSES else MANY_DEEDS


_GUESSES = (
    Kind.SIGN_IN_FAILED,
    Kind.PASSWORD_WRONG,
    Kind.PIN_WRONG,
    Kind.PIN_LOCKED,
    Kind.SECOND_FACTOR_WRONG,
    Kind.LIMIT_HIT,
)
