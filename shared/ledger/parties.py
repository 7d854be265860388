"""The other party of a transfer, as the reader is allowed to see it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, String, and_, func, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from shared.db.transaction import Transaction
from shared.ledger import system_accounts
from shared.ledger.accounts import SPENDABLE_KINDS
from shared.models import Account, Merchant, User


class Party(NamedTuple):
    """A name, and the wallet id to pay. `wallet_id` is None for a bank, the platform, and the reader's own pot."""

    wallet_id: str | None
    name: str


class Holder(NamedTuple):
    """An account with its owner. `HOLDER_COLUMNS` has the fields in the same order. A transfer makes several of these,
    and a tuple is made in a third of the time of a frozen dataclass.
    """

    account_id: UUID
    owner_id: UUID | None
    kind: str
    account_name: str
    wallet_id: str | None
    """The owner's wallet id, also when the account is a pot."""
    owner_name: str | None

    def seen_by(self, owner_id: UUID | None) -> Party:
        """The party as `owner_id` sees it. Owners see the names of their own pots; others see the owner's name."""
        if self.owner_id is None:
            return Party(None, system_accounts.NAMES[self.account_id])
        if self.kind == "pot" and self.owner_id == owner_id:
            return Party(None, self.account_name)
        return Party(self.wallet_id, self.owner_name or self.account_name)


HOLDER_COLUMNS = """
    {account}.id, {account}.owner_id, {account}.kind, {account}.name, {wallet}.handle,
    coalesce(trim({user}.first_name || ' ' || {user}.last_name), {merchant}.business_name)
"""
"""A holder in SQL text: fill in the names that the statement gives these tables."""

_COLUMNS = HOLDER_COLUMNS.format(account="named", wallet="wallet", user="person", merchant="shop")
_SPENDABLE = "('wallet', 'merchant')"
_PARTIES_NAMED = f"""
    SELECT {_COLUMNS} FROM (
        SELECT id, owner_id, kind, name FROM accounts WHERE owner_id = $1::uuid AND kind IN {_SPENDABLE}
        UNION SELECT id, owner_id, kind, name FROM accounts WHERE handle = ANY($2::text[])
        UNION SELECT id, owner_id, kind, name FROM accounts WHERE id = ANY($3::uuid[]) AND owner_id = $1::uuid
    ) AS named
    JOIN accounts AS wallet ON wallet.owner_id = named.owner_id AND wallet.kind IN {_SPENDABLE}
    LEFT JOIN users AS person ON person.id = named.owner_id
    LEFT JOIN merchants AS shop ON shop.id = named.owner_id
"""  # noqa: S608 - constants of this code

account = aliased(Account, name="holding")
"""The account whose holder a statement reads: select from it or join it, then call `with_owner`."""
_wallet = aliased(Account, name="wallet")
wallet_id: ColumnElement[Any] = type_coerce(_wallet.handle, String)
owner_name: ColumnElement[Any] = func.coalesce(
    func.trim(User.first_name + " " + User.last_name), Merchant.business_name
)


def with_owner(statement: Select[Any]) -> Select[Any]:
    """Add to the statement the columns that `holder_from` needs of `account` and its owner."""
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
    """Read the holder from a row of a `with_owner` statement."""
    return Holder(
        account_id=row.holding_id,
        owner_id=row.holding_owner_id,
        kind=row.holding_kind,
        account_name=row.holding_name,
        wallet_id=row.holding_wallet_id,
        owner_name=row.holding_owner_name,
    )


async def holders(session: AsyncSession, account_ids: Collection[UUID]) -> dict[UUID, Holder]:
    """The holders of these accounts, by account id. An account that does not exist is left out."""
    statement = with_owner(select(account.id).where(account.id.in_(account_ids)))
    return {row.id: holder_from(row) for row in await session.execute(statement)}


async def parties_named(
    transaction: Transaction, owner_id: UUID, *, handles: Sequence[str], account_ids: Sequence[UUID]
) -> list[Holder]:
    """In one statement: the wallet of the owner, the wallets with these ids (lowercase), and these of the owner's
    accounts. What does not exist is left out; what is named twice comes once."""
    return [Holder(*row) for row in await transaction.fetch(_PARTIES_NAMED, owner_id, handles, account_ids)]


async def holder_of_wallet(session: AsyncSession, handle: str) -> Holder | None:
    """The holder of this wallet id, or None. Upper and lower case are the same."""
    statement = with_owner(select(account.id).where(account.handle == handle.strip().lower()))
    row = (await session.execute(statement)).one_or_none()
    return None if row is None else holder_from(row)
