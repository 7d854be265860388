"""Why somebody is not let in."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

from shared import clock
from shared.errors import Conflict, Forbidden, Locked, TooMany, Unauthenticated, Unavailable


@dataclass(eq=False)
class AuthenticationRequired(Unauthenticated):
    """No token was sent."""

    code = "authentication_required"
    title = "Sign in first: send a bearer token or the session cookie"


@dataclass(eq=False)
class TokenInvalid(Unauthenticated):
    """Not a token of ours, for this app; which of its parts is wrong is nobody's business."""

    code = "token_invalid"
    title = "This token is not valid here"


@dataclass(eq=False)
class TokenExpired(Unauthenticated):
    """Good once, too old now."""

    code = "token_expired"
    title = "This session has expired; sign in again"


@dataclass(eq=False)
class TokenRevoked(Unauthenticated):
    """Signed out, or the password was changed since."""

    code = "token_revoked"
    title = "This session was signed out; sign in again"


@dataclass(eq=False)
class BadCredentials(Unauthenticated):
    """Says the same whether or not the address is registered."""

    code = "bad_credentials"
    title = "Email and password do not match"


@dataclass(eq=False)
class EmailTaken(Conflict):
    """One account of a kind per address."""

    code = "email_taken"
    title = "This email address is already registered"


@dataclass(eq=False)
class CurrentPasswordIncorrect(Forbidden):
    """A secret changes only for somebody who knows the password, not merely holds a session."""

    code = "current_password_incorrect"
    title = "The current password is not right"


@dataclass(eq=False)
class PinIncorrect(Forbidden):
    """A wrong PIN, counted. After `attempts_left` more the PIN is locked."""

    attempts_left: int

    code = "pin_incorrect"
    title = "The PIN is not right"

    @property
    def detail(self) -> str:
        """How many tries are left."""
        tries = "1 try" if self.attempts_left == 1 else f"{self.attempts_left} tries"
        return f"The PIN is not right; {tries} left."


@dataclass(eq=False)
class PinTokenInvalid(Forbidden):
    """Not a PIN token, too old, or of another session."""

    code = "pin_token_invalid"
    title = "This PIN token is not valid for this session; enter the PIN again"


@dataclass(eq=False)
class PinLocked(Locked):
    """Too many wrong PINs; the right one is not looked at either until `locked_until`."""

    locked_until: datetime

    code = "pin_locked"
    title = "Too many wrong PINs; try again later"

    @property
    def retry_after_seconds(self) -> int:
        """Until the lock opens."""
        return max(1, math.ceil((self.locked_until - clock.now()).total_seconds()))


@dataclass(eq=False)
class TooManyAttempts(TooMany):
    """Too many failed sign-ins for this address or from this place."""

    retry_after: int

    code = "too_many_attempts"
    title = "Too many failed attempts; try again later"

    @property
    def retry_after_seconds(self) -> int:
        """Until the oldest failures are forgotten."""
        return max(1, self.retry_after)


@dataclass(eq=False)
class TooManySignUps(TooMany):
    """Too many sign-ups from this place; one costs us two slow hashes and a wallet."""

    retry_after: int

    code = "too_many_sign_ups"
    title = "Too many sign-ups from this address; try again later"

    @property
    def retry_after_seconds(self) -> int:
        """Until the oldest of them are forgotten."""
        return max(1, self.retry_after)


@dataclass(eq=False)
class HashingBusy(Unavailable):
    """More passwords wait to be checked than can be in reasonable time."""

    code = "unavailable"
    title = "Too many sign-ins at once; ask again shortly"

    @property
    def retry_after_seconds(self) -> int:
        """A few hashes later."""
        return 2
