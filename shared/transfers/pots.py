"""Pots: money that an owner puts aside. Open one, rename it, give it a goal, close it. Amounts in paise.

Opening and changing a pot lock the owner's row until the transaction ends, so that requests at once cannot exceed the
limits or give two pots one name.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.ledger.accounts import account_of, lock_accounts, open_account
from shared.ledger.errors import AccountClosed, AccountNotFound
from shared.models import Account, Owner
from shared.transfers.errors import PotMayBeRefunded, PotNameTaken, PotNotEmpty, TooManyPots

MAX_POTS = 20
"""How many open pots one owner may have."""
MAX_POTS_EVER = 200
"""With those that were closed, whose history is kept."""

_MAY_BE_REFUNDED = text("""
    SELECT EXISTS (
        SELECT FROM entries entry
        JOIN transfers payment ON payment.id = entry.transfer_id AND payment.kind = 'payment'
        LEFT JOIN reversed_totals total ON total.transfer_id = payment.id
        WHERE entry.account_id = :pot_id AND entry.direction = 'DEBIT' AND coalesce(total.reversed, 0) < payment.amount
    )
""")


async def open_pot(session: AsyncSession, *, owner_id: UUID, name: str) -> Account:
    """Open an empty pot. Raises PotNameTaken, TooManyPots."""
    names = await _names(session, owner_id)
    if name in names:
        raise PotNameTaken(name)
    if len(names) >= MAX_POTS:
        raise TooManyPots(MAX_POTS)
    ever = select(func.count()).where(Account.owner_id == owner_id, Account.kind == "pot")
    if (await session.scalar(ever) or 0) >= MAX_POTS_EVER:
        raise TooManyPots(MAX_POTS_EVER)
    return await open_account(session, owner_id=owner_id, kind="pot", name=name)


async def change_pot(session: AsyncSession, *, owner_id: UUID, pot_id: UUID, name: str, goal: int | None) -> None:
    """Give an open pot this name and this goal; None takes the goal away.

    Raises AccountNotFound, AccountClosed, PotNameTaken.
    """
    names = await _names(session, owner_id)
    pot = await pot_of(session, owner_id, pot_id)
    if name in names - {pot.name}:
        raise PotNameTaken(name)
    pot.name, pot.goal = name, goal


async def close_pot(session: AsyncSession, *, owner_id: UUID, pot_id: UUID) -> None:
    """Close an empty pot: from now on it sends and receives nothing. One that is closed stays so.

    A pot from which a shop was paid stays open: what the shop gives back comes to the account that paid. All is looked
    at under the lock of the row, so no money can arrive or leave in between.

    Raises AccountNotFound, PotNotEmpty, PotMayBeRefunded.
    """
    pot = await pot_of(session, owner_id, pot_id, or_closed=True)
    await lock_accounts(session, [pot.id])
    await session.refresh(pot)
    if pot.closed_at is not None:
        return
    if pot.balance or pot.held:
        raise PotNotEmpty(pot.balance)
    if await session.scalar(_MAY_BE_REFUNDED, {"pot_id": pot.id}):
        raise PotMayBeRefunded
    pot.closed_at = clock.now()


async def pot_of(session: AsyncSession, owner_id: UUID, pot_id: UUID, *, or_closed: bool = False) -> Account:
    """One pot of the owner. Raises AccountNotFound, AccountClosed."""
    pot = await account_of(session, owner_id, pot_id)
    if pot.kind != "pot":
        raise AccountNotFound
    if pot.closed_at is not None and not or_closed:
        raise AccountClosed
    return pot


async def _names(session: AsyncSession, owner_id: UUID) -> set[str]:
    """The names of the open pots, once the owner's row is locked."""
    await session.execute(select(Owner.id).where(Owner.id == owner_id).with_for_update(key_share=True))
    pots = select(Account.name).where(Account.owner_id == owner_id, Account.kind == "pot", Account.closed_at.is_(None))
    return set((await session.execute(pots)).scalars())
