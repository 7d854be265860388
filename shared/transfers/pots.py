"""Pots: money that an owner puts aside. Open one, rename it, give it a goal, close it. Amounts in paise.

Opening and changing a pot lock the owner's row until the transaction ends, so that requests at once cannot exceed the
limits or give two pots one name.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.audit.kinds import Kind
from shared.audit.trail import trail
from shared.ledger.accounts import account_of, open_account
from shared.ledger.errors import AccountClosed, AccountFrozen, AccountNotFound
from shared.models import Account, Owner
from shared.transfers.errors import PotMayBeRefunded, PotNameTaken, PotNotEmpty, TooManyPots

MAX_POTS_EVER = 200
"""How many pots one owner may have with those that were closed, whose history is kept."""

_MAY_BE_REFUNDED = text("""
    SELECT EXISTS (
        SELECT FROM entries entry
        JOIN transfers payment ON payment.id = entry.transfer_id AND payment.kind = 'payment'
        LEFT JOIN reversed_totals total ON total.transfer_id = payment.id
        WHERE entry.account_id = :pot_id AND entry.direction = 'DEBIT' AND coalesce(total.reversed, 0) < payment.amount
    )
""")


async def open_pot(
    session: AsyncSession, *, pot_id: UUID, owner_id: UUID, name: str, most: int = MAX_POTS_EVER
) -> Account:
    """Open an empty pot under a new id, if the owner has fewer than `most` open. Opening it again answers the same.

    Raises PotNameTaken, TooManyPots, AccountFrozen.
    """
    names = await _names(session, owner_id)
    opened = await session.get(Account, pot_id)
    if opened is not None:
        return opened
    frozen = select(Account.id).where(Account.owner_id == owner_id, Account.frozen_at.is_not(None))
    if await session.scalar(frozen.limit(1)) is not None:
        raise AccountFrozen  # a freeze holds for the accounts that are there
    if name in names:
        raise PotNameTaken(name)
    if len(names) >= most:
        trail.record(Kind.LIMIT_HIT, what="pots", owner_id=owner_id)
        raise TooManyPots(most)
    ever = select(func.count()).where(Account.owner_id == owner_id, Account.kind == "pot")
    if (await session.scalar(ever) or 0) >= MAX_POTS_EVER:
        trail.record(Kind.LIMIT_HIT, what="pots-ever", owner_id=owner_id)
        raise TooManyPots(MAX_POTS_EVER)
    return await open_account(session, account_id=pot_id, owner_id=owner_id, kind="pot", name=name)


async def change_pot(session: AsyncSession, *, owner_id: UUID, pot_id: UUID, name: str, goal: int | None) -> Account:
    """Give an open pot this name and this goal; None takes the goal away. Answers the pot.

    Raises AccountNotFound, AccountClosed, PotNameTaken.
    """
    names = await _names(session, owner_id)
    pot = await pot_of(session, owner_id, pot_id)
    if name in names - {pot.name}:
        raise PotNameTaken(name)
    pot.name, pot.goal = name, goal
    return pot


async def close_pot(session: AsyncSession, *, owner_id: UUID, pot_id: UUID) -> None:
    """Close an empty pot: from now on it sends and receives nothing. One that is closed stays so.

    A pot from which a shop was paid stays open: what the shop gives back comes to the account that paid. All is looked
    at under the lock of the row, so no money can arrive or leave in between.

    Raises AccountNotFound, PotNotEmpty, PotMayBeRefunded.
    """
    pot = await pot_of(session, owner_id, pot_id, or_closed=True)
    await session.refresh(pot, with_for_update={"key_share": True})
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
