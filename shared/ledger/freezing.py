"""Freeze an owner: nothing leaves any of the owner's accounts by any path, and what comes in is credited as ever.

The state is on the accounts' rows, which every movement of money locks and reads anyway. So a transfer either commits
before the freeze, or it waits for the freeze's lock and sees it.
"""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.errors import Conflict, NotFound
from shared.models import Account, Owner


class OwnerNotFound(NotFound):
    """No owner has this id."""

    code = "owner_not_found"
    title = "No such owner"


class PlatformsOwnUser(Conflict):
    """What the platform's own user gives does not come from an account of that user."""

    code = "platforms_own_user"
    title = "The platform's own user is not frozen: end the sessions with `batua users enrol-second-factor`"


async def freeze(session: AsyncSession, owner_id: UUID) -> list[Account]:
    """Freeze every account of the owner; answers them. One that is frozen already stays frozen since then.

    Once the caller has committed, nothing that leaves can commit any more. Raises OwnerNotFound, PlatformsOwnUser.
    """
    now, accounts = clock.now(), await _locked(session, owner_id)
    for account in accounts:
        account.frozen_at = account.frozen_at or now
    await session.flush()
    return accounts


async def unfreeze(session: AsyncSession, owner_id: UUID) -> list[Account]:
    """Let money leave the owner's accounts again; answers them. Raises OwnerNotFound, PlatformsOwnUser."""
    accounts = await _locked(session, owner_id)
    for account in accounts:
        account.frozen_at = None
    await session.flush()
    return accounts


async def _locked(session: AsyncSession, owner_id: UUID) -> list[Account]:
    """The owner's accounts as they stand, locked in the ledger's order, by id, as `lock_accounts` locks them.

    A pot that is opened at this very moment is left out. It is empty, and money reaches it only from these accounts.
    """
    is_system = await session.scalar(select(Owner.is_system).where(Owner.id == owner_id))
    if is_system is None:
        raise OwnerNotFound
    if is_system:
        raise PlatformsOwnUser
    statement = select(Account).where(Account.owner_id == owner_id).order_by(Account.id)
    locked = statement.with_for_update(key_share=True).execution_options(populate_existing=True)
    return list(await session.scalars(locked))
