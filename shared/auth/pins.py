"""The PIN that every movement of money needs, and its lock: five wrong PINs within fifteen minutes, by default.

Wrong PINs are counted in Postgres, each in a database transaction of its own, so that the error it causes does not roll
the count back. However many wrong PINs arrive at once, at most five are answered with PinIncorrect.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.auth.audited import RefusalsAudited
from shared.auth.errors import PinIncorrect, PinLocked, TokenInvalid
from shared.auth.hashing_queue import Asker
from shared.auth.passwords import Hasher
from shared.auth.tokens import Identity, Tokens
from shared.config import PasswordSettings
from shared.db.engine import SessionMaker
from shared.db.reads import Reads
from shared.db.retries import in_transaction
from shared.errors import BatuaError
from shared.ids import new_id
from shared.models import Owner, PinFailure


class PinState(NamedTuple):
    """An owner's PIN as Postgres has it. `locking_failure`: when it is locked, the wrong PIN whose age opens it."""

    pin_hash: str | None
    locking_failure: datetime | None


STATE_COLUMNS = """
    owner.pin_hash,
    (SELECT failed_at FROM pin_failures failure
     WHERE failure.owner_id = asked.owner_id AND failure.failed_at > {window_start}
     ORDER BY failed_at DESC OFFSET {attempts} - 1 LIMIT 1) AS locking_failure
"""
"""The fields of a PinState, in its order, for a statement with the joins of a session's state."""
_ASK = f"""
    SELECT {STATE_COLUMNS.format(window_start="$2::timestamptz", attempts="$3::int")}
    FROM (SELECT $1::uuid AS owner_id) AS asked LEFT JOIN owners AS owner ON owner.id = asked.owner_id
"""  # noqa: S608 - constants of this file


async def check(
    sessionmaker: SessionMaker,
    reads: Reads,
    *,
    hasher: Hasher,
    settings: PasswordSettings,
    owner_id: UUID,
    pin: str,
    address: str = "",
) -> str:
    """Check the PIN and answer its hash. `address` is the network address that asks, "" for none.

    Raises PinIncorrect (counted), PinLocked (right PIN or not), HashingBusy, CallerLeft.
    """
    with RefusalsAudited(owner_id=owner_id, address=address):
        asker = Asker.owner(owner_id, address)
        hasher.require_room(asker)  # a flood asks Postgres nothing
        # Before the expensive hash, and no lock is held during it.
        await _unlocked_hash(reads, settings, owner_id)
        # Checked again once a core is free: of many wrong PINs at once, those that waited are not even compared.
        async with hasher.core(asker) as core:
            pin_hash = await _unlocked_hash(reads, settings, owner_id)
            if not await core.verify_pin(pin, pin_hash):
                raise await _count_failure(sessionmaker, settings, owner_id)
        await _unlocked_hash(reads, settings, owner_id)
        return pin_hash


def check_token(
    state: PinState, *, tokens: Tokens, settings: PasswordSettings, identity: Identity, pin_token: str
) -> None:
    """Check that the token stands for the PIN that the owner has now. Raises PinTokenInvalid, PinLocked."""
    tokens.verify_pin_token(pin_token, identity, _unlocked(state, settings))


def window_start(settings: PasswordSettings) -> datetime:
    """Older failures do not count now."""
    return clock.now() - timedelta(seconds=settings.pin_window_seconds)


async def _count_failure(sessionmaker: SessionMaker, settings: PasswordSettings, owner_id: UUID) -> BatuaError:
    """Count one wrong PIN and answer the error to raise."""
    failure_id, window = new_id(), timedelta(seconds=settings.pin_window_seconds)

    async def count(session: AsyncSession) -> BatuaError:
        # One wrong PIN of an owner at a time from here on, so that the count is exact.
        await session.execute(select(Owner.id).where(Owner.id == owner_id).with_for_update(key_share=True))
        now = clock.now()
        failures = await _recent_failures(session, settings, owner_id, now)
        counted = await session.get(PinFailure, failure_id)
        if counted is not None:  # by an attempt whose commit was not answered
            failures.remove(counted.failed_at)
        elif len(failures) >= settings.pin_attempts:
            return _locked(settings, failures[-1])
        else:
            old = delete(PinFailure).where(PinFailure.owner_id == owner_id, PinFailure.failed_at <= now - window)
            await session.execute(old)
            session.add(PinFailure(id=failure_id, owner_id=owner_id, failed_at=now))
        attempts_left = settings.pin_attempts - len(failures) - 1
        first = failures[-1] if failures else now
        return PinIncorrect(attempts_left, locked_until=first + window if attempts_left == 0 else None)

    return await in_transaction(sessionmaker, count)


async def _unlocked_hash(reads: Reads, settings: PasswordSettings, owner_id: UUID) -> str:
    (row,) = await reads.fetch(_ASK, owner_id, window_start(settings), settings.pin_attempts)
    return _unlocked(PinState._make(row), settings)


def _unlocked(state: PinState, settings: PasswordSettings) -> str:
    """The hash of a PIN that may be tried. Raises PinLocked, TokenInvalid."""
    if state.locking_failure is not None:
        raise _locked(settings, state.locking_failure)
    if state.pin_hash is None:
        raise TokenInvalid
    return state.pin_hash


def _locked(settings: PasswordSettings, locking_failure: datetime) -> PinLocked:
    return PinLocked(locked_until=locking_failure + timedelta(seconds=settings.pin_window_seconds))


async def _recent_failures(
    session: AsyncSession, settings: PasswordSettings, owner_id: UUID, now: datetime
) -> list[datetime]:
    """The times of the failures within the window, newest first; at most as many as lock the PIN."""
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
