"""The errors of signing up, signing in, tokens and PINs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared import clock
from shared.calendar import INDIA
from shared.errors import Conflict, Forbidden, Locked, TooMany, Unauthenticated, Unavailable


@dataclass(eq=False)
class AuthenticationRequired(Unauthenticated):
    """The request has no token."""

    code = "authentication_required"
    title = "Sign in first: send a bearer token or the session cookie"


@dataclass(eq=False)
class TokenInvalid(Unauthenticated):
    """Not a token that this app issued. The error does not say which part of it is wrong."""

    code = "token_invalid"
    title = "This token is not valid here"


@dataclass(eq=False)
class TokenExpired(Unauthenticated):
    """The token has expired."""

    code = "token_expired"
    title = "This session has expired; sign in again"


@dataclass(eq=False)
class TokenRevoked(Unauthenticated):
    """The session was signed out, or the password was changed after the token was issued."""

    code = "token_revoked"
    title = "This session was signed out; sign in again"


NO_SESSION = (AuthenticationRequired, TokenInvalid, TokenExpired, TokenRevoked)
"""The errors that signing in removes."""


@dataclass(eq=False)
class BadCredentials(Unauthenticated):
    """Wrong email or password. The error is the same whether or not the email is registered."""

    code = "bad_credentials"
    title = "Email and password do not match"


@dataclass(eq=False)
class EmailTaken(Conflict):
    """A person or a shop is registered with this email."""

    code = "email_taken"
    title = "This email address is already registered"


@dataclass(eq=False)
class CurrentPasswordIncorrect(Forbidden):
    """A change of password or PIN needs the current password; a session alone is not enough."""

    code = "current_password_incorrect"
    title = "The current password is not right"


@dataclass(eq=False)
class PinIncorrect(Forbidden):
    """A wrong PIN. It is counted; after `attempts_left` more the PIN is locked.

    With the last attempt, `locked_until` (UTC) says for how long.
    """

    attempts_left: int
    locked_until: datetime | None = None

    code = "pin_incorrect"
    title = "The PIN is not right"

    @property
    def detail(self) -> str:
        """How many attempts are left, or until when there is none."""
        if self.locked_until is not None:
            return f"The PIN is not right. It is locked until {_in_india(self.locked_until)}."
        tries = "1 try" if self.attempts_left == 1 else f"{self.attempts_left} tries"
        return f"The PIN is not right; {tries} left."


@dataclass(eq=False)
class PinTokenInvalid(Forbidden):
    """Not a PIN token, expired, of another session, or of an earlier PIN."""

    code = "pin_token_invalid"
    title = "This PIN token is not valid for this session; enter the PIN again"


@dataclass(eq=False)
class PinLocked(Locked):
    """Too many wrong PINs. Until `locked_until` (UTC) the right PIN is rejected too."""

    locked_until: datetime

    code = "pin_locked"
    title = "Too many wrong PINs; try again later"

    @property
    def detail(self) -> str:
        """Until when."""
        return f"Too many wrong PINs. Try again after {_in_india(self.locked_until)}."

    @property
    def retry_after_seconds(self) -> int:
        """Seconds until the lock ends."""
        return max(1, math.ceil((self.locked_until - clock.now()).total_seconds()))


@dataclass(eq=False)
class TooManyAttempts(TooMany):
    """Too many failed sign-ins for this email or from this network address."""

    retry_after: int

    code = "too_many_attempts"
    title = "Too many failed attempts; try again later"

    @property
    def retry_after_seconds(self) -> int:
        """Seconds until the window of the counter ends."""
        return max(1, self.retry_after)


@dataclass(eq=False)
class TooManySignUps(TooMany):
    """Too many sign-ups from this network address. Each costs two slow hashes and a wallet."""

    retry_after: int

    code = "too_many_sign_ups"
    title = "Too many sign-ups from this address; try again later"

    @property
    def retry_after_seconds(self) -> int:
        """Seconds until the window of the counter ends."""
        return max(1, self.retry_after)


@dataclass(eq=False)
class HashingBusy(Unavailable):
    """Too many hashes wait for a core already."""

    code = "unavailable"
    title = "Too many sign-ins at once; ask again shortly"

    @property
    def retry_after_seconds(self) -> int:
        """Time for a few hashes."""
        return 2


def _in_india(moment: datetime) -> str:
    """The next full minute in India, as a clock shows it: `7:32 pm IST`."""
    local = (moment + timedelta(seconds=59)).astimezone(INDIA)
    return f"{local:%I:%M %p} IST".lstrip("0").replace("AM", "am").replace("PM", "pm")
