"""The errors of signing up, signing in, tokens and PINs."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared import clock
from shared.calendar import INDIA
from shared.errors import (
    Conflict,
    FieldError,
    Forbidden,
    Invalid,
    Locked,
    NotFound,
    TooMany,
    Unauthenticated,
    Unavailable,
)


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


CODE_FIELD = "totp"


@dataclass(eq=False)
class SecondFactorRequired(Unauthenticated):
    """The password is right. The platform's own user sends a code of the authenticator, or a recovery code, with it."""

    code = "second_factor_required"
    title = "Sign in with the code of your authenticator too"

    @property
    def errors(self) -> Sequence[FieldError]:
        """The field that is missing."""
        return (FieldError(CODE_FIELD, "the code that your authenticator shows now; type the password again too"),)


@dataclass(eq=False)
class WrongSecondFactor(Unauthenticated):
    """Not the code of this moment, or one that was used before."""

    code = "wrong_second_factor"
    title = "The code is not right, or it was used before"

    @property
    def errors(self) -> Sequence[FieldError]:
        """The field that is wrong."""
        return (FieldError(CODE_FIELD, "not right, or used before; wait for the next code of your authenticator"),)


@dataclass(eq=False)
class SecondFactorNotEnrolled(Forbidden):
    """In production, the platform's own user signs in with a second factor only."""

    code = "second_factor_not_enrolled"
    title = "This user has no authenticator yet; an operator enrols one with `batua users enrol-second-factor`"


@dataclass(eq=False)
class EmailTaken(Conflict):
    """A person or a shop is registered with this email."""

    code = "email_taken"
    title = "This email address is already registered"


@dataclass(eq=False)
class WeakSecret(Invalid):
    """A new password or PIN that is easy to guess; `errors` names each, and does not say which rule it breaks."""

    errors: Sequence[FieldError]

    code = "weak_secret"
    title = "Choose a password and a PIN that are hard to guess"

    @property
    def detail(self) -> str:
        """All of `errors` in one sentence."""
        return "; ".join(f"{error.field}: {error.message}" for error in self.errors)


@dataclass(eq=False)
class NameNotAllowed(Invalid):
    """A name that others see carries an address, or passes for another's; `errors` names the field."""

    errors: Sequence[FieldError]

    code = "name_not_allowed"
    title = "Others could take this name for what it is not; choose another"

    @property
    def detail(self) -> str:
        """All of `errors` in one sentence."""
        return "; ".join(f"{error.field}: {error.message}" for error in self.errors)


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


SHORTEST_PAUSE_SECONDS = 2
LONGEST_PAUSE_SECONDS = 5
"""Before who is refused a hash asks again."""
# Nothing secret depends on it.
_pauses = random.SystemRandom()


@dataclass(eq=False)
class HashingBusy(Unavailable):
    """Too many hashes wait for a core already."""

    pause_seconds: int = field(default_factory=lambda: _pauses.randint(SHORTEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS))

    code = "unavailable"
    title = "Too many sign-ins at once; ask again shortly"

    @property
    def retry_after_seconds(self) -> int:
        """Time for some hashes. Those who were refused together do not come again together."""
        return self.pause_seconds


@dataclass(eq=False)
class EmailUnverified(Forbidden):
    """The owner's email address is still to be confirmed, and money leaves only then."""

    code = "email_unverified"
    title = "Confirm your email address before money leaves"

    @property
    def detail(self) -> str:
        """What to do."""
        return (
            "Confirm your email address first: open the link in the mail that we sent. "
            "Your profile sends it again, or corrects the address."
        )


@dataclass(eq=False)
class EmailConfirmed(Conflict):
    """The owner's email address is confirmed, so there is nothing to send or to correct."""

    code = "email_confirmed"
    title = "Your email address is confirmed already"


@dataclass(eq=False)
class ConfirmationLinkInvalid(NotFound):
    """The token confirms nothing. The answer does not say whether it was used, replaced, or never there."""

    code = "confirmation_link_invalid"
    title = "This link has expired or was used; sign in and have a new one sent"


@dataclass(eq=False)
class TooManyConfirmationMails(TooMany):
    """A link was sent a moment ago, or too many in a day."""

    retry_after: int

    code = "too_many_confirmation_mails"
    title = "A link was sent lately. Look into your mail, also into the spam; a new one can be sent later"

    @property
    def retry_after_seconds(self) -> int:
        """Seconds until the next link."""
        return max(1, self.retry_after)


def _in_india(moment: datetime) -> str:
    """The next full minute in India, as a clock shows it: `7:32 pm IST`."""
    local = (moment + timedelta(seconds=59)).astimezone(INDIA)
    return f"{local:%I:%M %p} IST".lstrip("0").replace("AM", "am").replace("PM", "pm")
