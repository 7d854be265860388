"""Changing the password and the PIN of an owner who gives the current password."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.auth.errors import CurrentPasswordIncorrect
from shared.auth.password_check import is_password_right
from shared.auth.passwords import Hasher
from shared.auth.throttle import SignInThrottle
from shared.auth.tokens import Identity
from shared.db.engine import SessionMaker
from shared.models import Owner


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretsChange:
    """The secrets to change, and the current password. `address` is the network address that asks."""

    address: str
    current_password: str = field(repr=False)
    new_password: str | None = field(default=None, repr=False)
    new_pin: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class HashedSecrets:
    """The hashes to store, and the password hash that was verified."""

    verified_hash: str
    password_hash: str | None
    pin_hash: str | None


async def verify_and_hash(
    sessionmaker: SessionMaker, *, identity: Identity, change: SecretsChange, hasher: Hasher, throttle: SignInThrottle
) -> HashedSecrets:
    """Verify the current password and hash the new secrets. No database transaction is open during a hash.

    Raises CurrentPasswordIncorrect, HashingBusy; TooManyAttempts, counted together with failed sign-ins.
    """
    async with sessionmaker() as session:
        statement = select(Owner.email, Owner.password_hash).where(Owner.id == identity.owner_id)
        owner = (await session.execute(statement)).one()
    verified_hash: str = owner.password_hash
    if not await is_password_right(
        change.current_password,
        verified_hash,
        hasher=hasher,
        throttle=throttle,
        email=owner.email,
        address=change.address,
    ):
        raise CurrentPasswordIncorrect
    return HashedSecrets(
        verified_hash=verified_hash,
        password_hash=None if change.new_password is None else await hasher.hash_password(change.new_password),
        pin_hash=None if change.new_pin is None else await hasher.hash_pin(change.new_pin),
    )


async def store(session: AsyncSession, *, identity: Identity, secrets: HashedSecrets) -> None:
    """Store the hashes. A new password ends every session but this one.

    Raises CurrentPasswordIncorrect if the password has changed since it was verified.
    """
    values: dict[str, Any] = {}
    if secrets.password_hash is not None:
        values["password_hash"] = secrets.password_hash
        values["tokens_valid_after"] = clock.now()
        values["kept_token_id"] = identity.session_id
    if secrets.pin_hash is not None:
        values["pin_hash"] = secrets.pin_hash
    statement = (
        update(Owner)
        .where(Owner.id == identity.owner_id, Owner.password_hash == secrets.verified_hash)
        .values(values)
        .returning(Owner.id)
    )
    if (await session.execute(statement)).one_or_none() is None:
        raise CurrentPasswordIncorrect
