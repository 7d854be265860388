"""Pots: further accounts of one's own besides the wallet, to put money aside."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.ledger.accounts import open_account
from shared.models import Account, Owner
from shared.transfers.errors import PotNameTaken, TooManyPots

MAX_POTS = 20


async def open_pot(session: AsyncSession, *, owner_id: UUID, name: str) -> Account:
    """A new, empty pot. Raises PotNameTaken, TooManyPots.

    The owner's row is locked meanwhile, so that two requests at once cannot pass the limit together.
    """
    await session.execute(select(Owner.id).where(Owner.id == owner_id).with_for_update(key_share=True))
    pots = select(Account.name).where(Account.owner_id == owner_id, Account.kind == "pot")
    names = set((await session.execute(pots)).scalars())
    if name in names:
        raise PotNameTaken(name)
    if len(names) >= MAX_POTS:
        raise TooManyPots(MAX_POTS)
    return await open_account(session, owner_id=owner_id, kind="pot", name=name)


async def accounts_of(session: AsyncSession, owner_id: UUID, *, limit: int, after: UUID | None = None) -> list[Account]:
    """The owner's wallet and pots, oldest first, those after `after`."""
    statement = select(Account).where(Account.owner_id == owner_id).order_by(Account.id).limit(limit)
    if after is not None:
        statement = statement.where(Account.id > after)
    return list((await session.execute(statement)).scalars())
