"""The queries of this flow: the own profile of a person or a shop."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.auth.errors import TokenInvalid
from shared.auth.views import PersonProfile, ShopProfile
from shared.ledger.accounts import SPENDABLE_KINDS
from shared.models import Account, Merchant, Owner, User


async def get_person_profile(session: AsyncSession, owner_id: UUID) -> PersonProfile:
    """The person's profile. Raises TokenInvalid if there is no such person."""
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
    return PersonProfile(
        id=row.id, email=row.email, first_name=row.first_name, last_name=row.last_name, wallet_id=row.handle
    )


async def get_shop_profile(session: AsyncSession, owner_id: UUID) -> ShopProfile:
    """The shop's profile. Raises TokenInvalid if there is no such shop."""
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
    return ShopProfile(
        id=row.id,
        email=row.email,
        business_name=row.business_name,
        category=row.category,
        wallet_id=row.handle,
        timezone=row.timezone,
    )
