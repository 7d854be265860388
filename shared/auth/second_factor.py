"""The second factor of the platform's own user: a code that changes every 30 seconds (TOTP, RFC 6238).

An operator enrols the authenticator (`batua users`). Each code is accepted once (RFC 6238, 5.2), also from a clock that
is one step fast or slow. In its place, one of the recovery codes that were shown with it is accepted. The secret is
stored encrypted with a key derived from the PIN pepper, so that the database alone does not lead to it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from uuid import UUID

from cryptography.fernet import Fernet
from pyotp import TOTP, random_base32
from pyotp.exceptions import OTPVerificationError
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.audit.kinds import Kind
from shared.auth import recovery_codes
from shared.auth.audited import record
from shared.auth.errors import SecondFactorNotEnrolled, SecondFactorRequired, WrongSecondFactor
from shared.auth.throttle import Attempt, SignInThrottle
from shared.config import PasswordSettings
from shared.db.engine import SessionMaker
from shared.db.retries import in_transaction
from shared.models import SecondFactor

ISSUER = "Batua"
DRIFT_STEPS = 1
"""Steps of 30 seconds that the clock of an authenticator may be fast or slow (RFC 6238, 5.2)."""

_RECOVERY_CODE = re.compile(recovery_codes.PATTERN)


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What is shown once: the `otpauth:` address that holds the secret, and the recovery codes."""

    address: str = field(repr=False)
    recovery_codes: list[str] = field(repr=False)


@dataclass(slots=True)
class _Turn:
    """The turn of one attempt, which is taken once, however often its transaction is run."""

    throttle: SignInThrottle
    attempt: Attempt
    is_taken: bool = False

    async def take(self) -> None:
        """Raises TooManyAttempts."""
        if not self.is_taken:
            await self.throttle.begin(self.attempt)
            self.is_taken = True


class SecondFactorCheck:
    """Checks codes of the platform's own user, who has given the right password."""

    def __init__(self, settings: PasswordSettings, sessionmaker: SessionMaker, throttle: SignInThrottle) -> None:
        self._settings = settings
        self._sessionmaker = sessionmaker
        self._throttle = throttle

    async def require(self, owner_id: UUID, code: str | None) -> None:
        """Accept a code of the authenticator or a recovery code, which is used up then.

        One attempt at a time, so that the count of wrong codes is exact.

        Raises SecondFactorRequired, WrongSecondFactor, TooManyAttempts; SecondFactorNotEnrolled, in production only.
        """
        turn = _Turn(self._throttle, self._throttle.by_second_factor(owner_id))
        # A code that was accepted leaves nothing to tell by whom: if the answer to the commit is lost, it is used up.
        left = await in_transaction(
            self._sessionmaker, lambda session: self._use(session, owner_id, code, turn), at_most_once=True
        )
        if left is not None:
            record(Kind.RECOVERY_CODE_USED, owner_id=owner_id, what=f"{left} left")

    async def _use(self, session: AsyncSession, owner_id: UUID, code: str | None, turn: _Turn) -> int | None:
        """How many recovery codes are left, if it was one of them."""
        factor = await session.scalar(select(SecondFactor).where(SecondFactor.owner_id == owner_id).with_for_update())
        if factor is None and not self._settings.is_production:
            return None
        if factor is None:
            raise SecondFactorNotEnrolled
        if code is None:
            raise SecondFactorRequired
        await turn.take()
        left: int | None = None
        if _RECOVERY_CODE.fullmatch(code):
            is_right = await recovery_codes.use(session, code, owner_id=owner_id, settings=self._settings)
            left = await recovery_codes.count_left(session, owner_id)
        else:
            is_right = self._accepts(factor, code)
        if not is_right:
            await self._throttle.count_failure(turn.attempt)
            raise WrongSecondFactor
        return left

    def _accepts(self, factor: SecondFactor, code: str) -> bool:
        step = _step_of(code, _unseal(factor.sealed_secret, factor.owner_id, self._settings))
        if step is None or step <= factor.last_step:
            return False
        factor.last_step = step
        return True


async def enrol(session: AsyncSession, *, owner_id: UUID, email: str, settings: PasswordSettings) -> Enrolment:
    """Give the owner a new secret and new recovery codes, in place of earlier ones."""
    secret = random_base32()
    values = {"sealed_secret": _seal(secret, owner_id, settings), "last_step": 0, "created_at": clock.now()}
    statement = insert(SecondFactor).values(owner_id=owner_id, **values)
    await session.execute(statement.on_conflict_do_update(index_elements=[SecondFactor.owner_id], set_=values))
    address = TOTP(secret).provisioning_uri(name=email, issuer_name=ISSUER)
    return Enrolment(address, await recovery_codes.renew(session, owner_id=owner_id, settings=settings))


def _step_of(code: str, secret: str) -> int | None:
    """The time step of which this is the code; None if it is of none that is near enough."""
    try:
        return TOTP(secret).verify_and_get_timecode(code, for_time=clock.now(), valid_window=DRIFT_STEPS)
    except OTPVerificationError:
        return None


def _seal(secret: str, owner_id: UUID, settings: PasswordSettings) -> str:
    return _fernet(settings).encrypt(json.dumps([str(owner_id), secret]).encode()).decode()


def _unseal(sealed: str, owner_id: UUID, settings: PasswordSettings) -> str:
    bound_to, secret = json.loads(_fernet(settings).decrypt(sealed))
    assert bound_to == str(owner_id), "a sealed secret is of the owner that it was sealed for"
    return str(secret)


def _fernet(settings: PasswordSettings) -> Fernet:
    pepper = settings.pin_pepper.get_secret_value().encode()
    return Fernet(base64.urlsafe_b64encode(hashlib.sha256(b"batua-second-factor:" + pepper).digest()))
