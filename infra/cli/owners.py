"""The owner that an operator names."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from infra.cli.failures import exit_with
from shared.audit.queries import owners_named
from shared.ledger.accounts import SPENDABLE_KINDS
from shared.models import Account


@dataclass(frozen=True, slots=True)
class NamedOwner:
    """A person or a shop."""

    id: UUID
    wallet_id: str


async def one_owner(session: AsyncSession, name: str) -> NamedOwner:
    """The owner with this wallet id, email or id. Ends the command when there is none, or when there are two."""
    owner_ids = await owners_named(session, name)
    statement = select(Account.owner_id, Account.handle).where(
        Account.owner_id.in_(owner_ids), Account.kind.in_(SPENDABLE_KINDS)
    )
    found = [NamedOwner(row[0], row[1]) for row in await session.execute(statement) if row[0] and row[1]]
    if not found:
        raise exit_with(f"No owner is known as {name}.")
    if len(found) > 1:
        named = " and ".join(sorted(each.wallet_id for each in found))
        raise exit_with(f"{name} is both {named}: name one of them.")
    return found[0]
