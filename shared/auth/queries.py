"""What owners see and change of their own profile: names, a shop's details, password and PIN."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.auth.commands import is_right
from shared.auth.errors import CurrentPasswordIncorrect, TokenInvalid
from shared.auth.passwords import Hasher
from shared.auth.throttle import SignInThrottle
from shared.auth.tokens import Identity
from shared.db.engine import SessionMaker
from shared.ledger.accounts import SPENDABLE_KINDS
from shared.models import Account, Merchant, Owner, User


@dataclass(frozen=True, slots=True)
class UserProfile:
    """A person as they see themselves."""

    id: UUID
    email: str
    first_name: str
    last_name: str
    wallet_id: str


@dataclass(frozen=True, slots=True)
class MerchantProfile:
    """A shop as it sees itself."""

    id: UUID
    email: str
    business_name: str
    category: str | None
    wallet_id: str
    timezone: str


@dataclass(frozen=True, slots=True)
class NewSecrets:
    """Hashes to store, and the password hash they may replace."""

    verified_hash: str
    password_hash: str | None
    pin_hash: str | None


async def get_person_profile(session: AsyncSession, owner_id: UUID) -> UserProfile:
    """Raises TokenInvalid when there is no such user (any more)."""
    statement = (
        select(User.id, Owner.email, User.first_name, User.last_name, Account.handle)
        .join(Owner, Owner.id == User.id)
        .join(Account, (Account.owner_id == User.id) & Account.kind.in_(SPENDABLE_KINDS))
        .where(User.id == owner_id)
    )
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        raise TokenInvalid
    assert row.handle is not None
    return UserProfile(row.id, row.email, row.first_name, row.last_name, row.handle)


async def get_shop_profile(session: AsyncSession, owner_id: UUID) -> MerchantProfile:
    """Raises TokenInvalid when there is no such merchant (any more)."""
    statement = (
        select(Merchant.id, Owner.email, Merchant.business_name, Merchant.category, Account.handle, Merchant.timezone)
        .join(Owner, Owner.id == Merchant.id)
        .join(Account, (Account.owner_id == Merchant.id) & Account.kind.in_(SPENDABLE_KINDS))
        .where(Merchant.id == owner_id)
    )
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        raise TokenInvalid
    assert row.handle is not None
    return MerchantProfile(row.id, row.email, row.business_name, row.category, row.handle, row.timezone)


async def update_user(session: AsyncSession, owner_id: UUID, changes: Mapping[str, Any]) -> None:
    """Change some of `first_name` and `last_name`."""
    if changes:
        await session.execute(update(User).where(User.id == owner_id).values(dict(changes)))


async def update_merchant(session: AsyncSession, owner_id: UUID, changes: Mapping[str, Any]) -> None:
    """Change some of `business_name`, `category` and `timezone`."""
    if changes:
        await session.execute(update(Merchant).where(Merchant.id == owner_id).values(dict(changes)))


async def prepare_secrets(
    sessionmaker: SessionMaker,
    *,
    hasher: Hasher,
    throttle: SignInThrottle,
    identity: Identity,
    address: str,
    current_password: str,
    new_password: str | None,
    new_pin: str | None,
) -> NewSecrets:
    """Check the current password and hash the new secrets, with no transaction open meanwhile.

    Raises CurrentPasswordIncorrect; TooManyAttempts, counted together with failed sign-ins.
    """
    async with sessionmaker() as session:
        statement = select(Owner.email, Owner.password_hash).where(Owner.id == identity.owner_id)
        owner = (await session.execute(statement)).one()
    verified_hash: str = owner.password_hash
    if not await is_right(current_password, verified_hash, hasher, throttle, email=owner.email, address=address):
        raise CurrentPasswordIncorrect
    return NewSecrets(
        verified_hash,
        None if new_password is None else await hasher.hash_password(new_password),
        None if new_pin is None else await hasher.hash_pin(new_pin),
    )


async def store_secrets(session: AsyncSession, identity: Identity, secrets: NewSecrets) -> None:
    """Store what `prepare_secrets` hashed. A new password signs out every session but this one.

    Raises CurrentPasswordIncorrect when the password was changed meanwhile.
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
