"""The queries of this flow: what a sign-in compares, and the own profile of a person or a shop."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.auth.errors import TokenInvalid
from shared.auth.views import PersonProfile, ShopProfile
from shared.calendar import INDIA
from shared.db.reads import Source, fetch
from shared.ledger.accounts import SPENDABLE_KINDS
from shared.models import Account, Merchant, Owner, User

_CREDENTIALS = "SELECT id, password_hash, is_system FROM owners WHERE kind = $1 AND email = $2"
_SHOP = """
    SELECT shop.id, owner.email, shop.business_name, shop.category, account.handle, shop.timezone
    FROM merchants shop
    JOIN owners owner ON owner.id = shop.id
    JOIN accounts account ON account.owner_id = shop.id AND account.kind = 'merchant'
    WHERE shop.id = $1
"""


class StoredCredentials(NamedTuple):
    """What a sign-in with an owner's email is compared with."""

    owner_id: UUID
    password_hash: str
    is_system: bool


async def find_credentials(source: Source, *, kind: str, email: str) -> StoredCredentials | None:
    """Those of the owner with this email. None: there is no such owner."""
    rows = await fetch(source, _CREDENTIALS, kind, email)
    return StoredCredentials(*rows[0]) if rows else None


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


async def get_shop_profile(source: Source, owner_id: UUID) -> ShopProfile:
    """The shop's profile. Raises TokenInvalid if there is no such shop."""
    rows = await fetch(source, _SHOP, owner_id)
    if not rows:
        raise TokenInvalid
    id_, email, business_name, category, wallet_id, timezone = rows[0]
    return ShopProfile(
        id=id_,
        email=email,
        business_name=business_name,
        category=category,
        wallet_id=wallet_id,
        timezone=timezone,
    )


async def zone_of(session: AsyncSession, owner_id: UUID) -> ZoneInfo:
    """The time zone of the owner's days: a shop has its own, people are in India."""
    name = await session.scalar(select(Merchant.timezone).where(Merchant.id == owner_id))
    return INDIA if name is None else ZoneInfo(name)
