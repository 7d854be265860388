"""The PIN that guards every movement of money, and its lockout: five wrong in fifteen minutes, kept in Postgres.

A wrong PIN is written in a transaction of its own, so that the refusal it causes cannot roll it back. However many
guesses come at once, no more than five of them are ever told that they are wrong.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.auth.errors import PinIncorrect, PinLocked, TokenInvalid
from shared.auth.passwords import Hasher
from shared.auth.tokens import Identity, Tokens
from shared.config import PasswordSettings
from shared.db.engine import SessionMaker
from shared.errors import BatuaError
from shared.ids import new_id
from shared.models import Owner, PinFailure


async def check(
    sessionmaker: SessionMaker, *, hasher: Hasher, settings: PasswordSettings, owner_id: UUID, pin: str
) -> str:
    """The PIN's hash, when it is right. Raises PinIncorrect (counted) or PinLocked (whether it is right or not)."""
    async with sessionmaker() as session:  # before the expensive part, and no lock held during it
        await _refuse_while_locked(session, settings, owner_id)
    # Looked at again once it is our turn: of many guesses at once, those that waited are not even compared.
    async with hasher.turn() as turn:
        async with sessionmaker() as session:
            await _refuse_while_locked(session, settings, owner_id)
            pin_hash = await session.scalar(select(Owner.pin_hash).where(Owner.id == owner_id))
        if pin_hash is None:
            raise TokenInvalid
        if not await turn.verify_pin(pin, pin_hash):
            raise await _count_failure(sessionmaker, settings, owner_id)
    async with sessionmaker() as session:
        await _refuse_while_locked(session, settings, owner_id)
    return pin_hash


async def check_token(
    sessionmaker: SessionMaker, *, tokens: Tokens, settings: PasswordSettings, identity: Identity, pin_token: str
) -> None:
    """Return when the token stands for the PIN that its owner has now, and that PIN is not locked.

    Raises PinTokenInvalid, PinLocked.
    """
    async with sessionmaker() as session:
        await _refuse_while_locked(session, settings, identity.owner_id)
        pin_hash = await session.scalar(select(Owner.pin_hash).where(Owner.id == identity.owner_id))
    if pin_hash is None:
        raise TokenInvalid
    tokens.verify_pin_token(pin_token, identity, pin_hash)


async def _count_failure(sessionmaker: SessionMaker, settings: PasswordSettings, owner_id: UUID) -> BatuaError:
    async with sessionmaker.begin() as session:
        # One guess at a time from here: the count below is exact.
        await session.execute(select(Owner.id).where(Owner.id == owner_id).with_for_update(key_share=True))
        now = clock.now()
        window = timedelta(seconds=settings.pin_window_seconds)
        failures = await _recent_failures(session, settings, owner_id, now)
        if len(failures) >= settings.pin_attempts:
            return PinLocked(locked_until=failures[-1] + window)
        await session.execute(
            delete(PinFailure).where(PinFailure.owner_id == owner_id, PinFailure.failed_at <= now - window)
        )
        session.add(PinFailure(id=new_id(), owner_id=owner_id, failed_at=now))
        return PinIncorrect(attempts_left=settings.pin_attempts - len(failures) - 1)


async def _refuse_while_locked(session: AsyncSession, settings: PasswordSettings, owner_id: UUID) -> None:
    failures = await _recent_failures(session, settings, owner_id, clock.now())
    if len(failures) >= settings.pin_attempts:
        raise PinLocked(locked_until=failures[-1] + timedelta(seconds=settings.pin_window_seconds))


async def _recent_failures(
    session: AsyncSession, settings: PasswordSettings, owner_id: UUID, now: datetime
) -> list[datetime]:
    """The newest failures that still count, newest first, at most as many as it takes to lock."""
    statement = (
        select(PinFailure.failed_at)
        .where(
            PinFailure.owner_id == owner_id,
            PinFailure.failed_at > now - timedelta(seconds=settings.pin_window_seconds),
        )
        .order_by(PinFailure.failed_at.desc())
        .limit(settings.pin_attempts)
    )
    return list((await session.scalars(statement)).all())
