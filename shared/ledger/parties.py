"""Who stands at the other end of a movement, as its reader may know them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, String, and_, case, func, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from shared.ledger import system_accounts
from shared.ledger.accounts import SPENDABLE_KINDS
from shared.models import Account, Merchant, User


@dataclass(frozen=True, slots=True)
class Party:
    """A name, and the wallet id one could pay; None for a bank, the platform or a pot of one's own."""

    wallet_id: str | None
    name: str


@dataclass(frozen=True, slots=True)
class Holder:
    """An account together with whose it is."""

    account_id: UUID
    owner_id: UUID | None
    kind: str
    account_name: str
    wallet_id: str | None
    """The owner's wallet id, whichever of the owner's accounts this is."""
    owner_name: str | None

    def seen_by(self, owner_id: UUID | None) -> Party:
        """The party that `owner_id` sees. A pot goes by its own name before its owner only: others see the owner."""
        if self.owner_id is None:
            return Party(None, system_accounts.NAMES[self.account_id])
        if self.kind == "pot" and self.owner_id == owner_id:
            return Party(None, self.account_name)
        return Party(self.wallet_id, self.owner_name or self.account_name)


account = aliased(Account, name="holding")
"""The account whose holder is asked for: statements read from it or join it, then call `with_owner`."""
_wallet = aliased(Account, name="wallet")
wallet_id: ColumnElement[Any] = type_coerce(_wallet.handle, String)
owner_name: ColumnElement[Any] = func.coalesce(
    func.trim(User.first_name + " " + User.last_name), Merchant.business_name
)
system_name: ColumnElement[Any] = case(system_accounts.NAMES, value=account.id)


def with_owner(statement: Select[Any]) -> Select[Any]:
    """The statement, reading besides what `holder_from` needs of `account` and its owner."""
    return (
        statement.add_columns(
            account.id.label("holding_id"),
            account.owner_id.label("holding_owner_id"),
            account.kind.label("holding_kind"),
            account.name.label("holding_name"),
            wallet_id.label("holding_wallet_id"),
            owner_name.label("holding_owner_name"),
        )
        .outerjoin(_wallet, and_(_wallet.owner_id == account.owner_id, _wallet.kind.in_(SPENDABLE_KINDS)))
        .outerjoin(User, User.id == account.owner_id)
        .outerjoin(Merchant, Merchant.id == account.owner_id)
    )


def holder_from(row: Row[Any]) -> Holder:
    """The holder that a row of a `with_owner` statement tells of."""
    return Holder(
        account_id=row.holding_id,
        owner_id=row.holding_owner_id,
        kind=row.holding_kind,
        account_name=row.holding_name,
        wallet_id=row.holding_wallet_id,
        owner_name=row.holding_owner_name,
    )


async def holders(session: AsyncSession, account_ids: Collection[UUID]) -> dict[UUID, Holder]:
    """The holders of these accounts, by account; an account that does not exist is left out."""
    statement = with_owner(select(account.id).where(account.id.in_(account_ids)))
    return {row.id: holder_from(row) for row in await session.execute(statement)}


async def holders_of_wallets(session: AsyncSession, handles: Collection[str]) -> dict[str, Holder]:
    """Whose wallet ids these (lowercase) are, by wallet id; one that nobody has is left out."""
    statement = with_owner(select(account.handle).where(account.handle.in_(handles)))
    return {row.handle: holder_from(row) for row in await session.execute(statement)}


async def holder_of_wallet(session: AsyncSession, handle: str) -> Holder | None:
    """Whose wallet id this is; upper and lower case are the same."""
    statement = with_owner(select(account.id).where(account.handle == handle.strip().lower()))
    row = (await session.execute(statement)).one_or_none()
    return None if row is None else holder_from(row)
