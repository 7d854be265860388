"""Signing in by email and password."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select

from shared.auth.errors import BadCredentials
from shared.auth.passwords import Hasher
from shared.auth.throttle import SignInThrottle
from shared.auth.tokens import OwnerKind
from shared.db.engine import SessionMaker
from shared.models import Owner


async def sign_in(
    sessionmaker: SessionMaker,
    *,
    hasher: Hasher,
    throttle: SignInThrottle,
    kind: OwnerKind,
    email: str,
    password: str,
    address: str,
) -> UUID:
    """The owner's id. Raises BadCredentials (in the same words and after the same work for an unknown email) and
    TooManyAttempts.
    """
    async with sessionmaker() as session:
        statement = select(Owner.id, Owner.password_hash).where(Owner.kind == kind, Owner.email == email)
        row = (await session.execute(statement)).one_or_none()
    owner_id: UUID | None = None if row is None else row.id
    password_hash: str | None = None if row is None else row.password_hash
    if not await is_right(password, password_hash, hasher, throttle, email=email, address=address):
        raise BadCredentials
    assert owner_id is not None
    await _refuse_if_replaced(sessionmaker, owner_id, password_hash)
    return owner_id


async def _refuse_if_replaced(sessionmaker: SessionMaker, owner_id: UUID, password_hash: str | None) -> None:
    """A password changed while this one was compared: a session begun with the old one now would outlive the change.

    The lock waits for a change that is being committed.
    """
    statement = select(Owner.password_hash).where(Owner.id == owner_id).with_for_update(read=True)
    async with sessionmaker.begin() as session:
        if await session.scalar(statement) != password_hash:
            raise BadCredentials


async def is_right(
    password: str,
    password_hash: str | None,
    hasher: Hasher,
    throttle: SignInThrottle,
    *,
    email: str,
    address: str,
) -> bool:
    """Whether the password is right, a wrong one counted. Raises TooManyAttempts.

    The count is looked at again once a core is free: of many guesses at once, those that waited see the failures
    of those before them.
    """
    await throttle.check(email, address)
    async with hasher.core() as core:
        await throttle.check(email, address)
        matches = await core.verify(password, password_hash)
        if not matches:
            await throttle.count_failure(email, address)
    return matches
