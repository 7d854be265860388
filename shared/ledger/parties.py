"""The other party of a transfer, as the reader is allowed to see it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from shared.db.transaction import SessionTransaction, Transaction
from shared.ledger import system_accounts


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
    {account}.id, {account}.owner_id, {account}.kind, {account}.name,
    coalesce({account}.handle, (
        SELECT handle FROM accounts WHERE owner_id = {account}.owner_id AND kind IN ('wallet', 'merchant')
    )),
    coalesce(
        (SELECT trim(first_name || ' ' || last_name) FROM users WHERE id = {account}.owner_id),
        (SELECT business_name FROM merchants WHERE id = {account}.owner_id)
    )
"""
"""A holder in SQL text: fill in the name that the statement gives the account. The inner queries run one after another
and only until one answers, where joins would look for every account in all of the tables.
"""

_IS_OWN_POT = "{holder}.kind = 'pot' AND {holder}.owner_id = {reader}"
PARTY_WALLET_ID = f"CASE WHEN {_IS_OWN_POT} THEN NULL ELSE {{holder}}.handle END"
PARTY_NAME = f"""
    CASE WHEN {{holder}}.owner_id IS NULL THEN {system_accounts.NAME_OF_ID.format(id="{holder}.id")}
         WHEN {_IS_OWN_POT} THEN {{holder}}.name
         ELSE coalesce({{holder}}.owner_name, {{holder}}.name) END
"""
"""What `Holder.seen_by` answers, in SQL text: fill in the names of a holder's row and of the reader's id."""

_COLUMNS = HOLDER_COLUMNS.format(account="named")
_SPENDABLE = "('wallet', 'merchant')"
_PARTIES_NAMED = f"""
    SELECT {_COLUMNS} FROM (
        SELECT id, owner_id, kind, name, handle FROM accounts WHERE owner_id = $1::uuid AND kind IN {_SPENDABLE}
        UNION SELECT id, owner_id, kind, name, handle FROM accounts WHERE handle = ANY($2::text[])
        UNION SELECT id, owner_id, kind, name, handle FROM accounts WHERE id = ANY($3::uuid[]) AND owner_id = $1::uuid
    ) AS named
"""  # noqa: S608 - constants of this code

_HOLDERS = f"SELECT {_COLUMNS} FROM accounts AS named WHERE named.id = ANY($1::uuid[])"  # noqa: S608 - as above
_HOLDER_OF_WALLET = f"SELECT {_COLUMNS} FROM accounts AS named WHERE named.handle = $1::text"  # noqa: S608 - as above


async def holders(session: AsyncSession, account_ids: Collection[UUID]) -> dict[UUID, Holder]:
    """The holders of these accounts, by account id. An account that does not exist is left out."""
    found = await SessionTransaction(session).fetch(_HOLDERS, list(account_ids))
    return {row[0]: Holder(*row) for row in found}


async def parties_named(
    transaction: Transaction, owner_id: UUID, *, handles: Sequence[str], account_ids: Sequence[UUID]
) -> list[Holder]:
    """In one statement: the wallet of the owner, the wallets with these ids (lowercase), and these of the owner's
    accounts. What does not exist is left out; what is named twice comes once."""
    return [Holder(*row) for row in await transaction.fetch(_PARTIES_NAMED, owner_id, handles, account_ids)]


async def holder_of_wallet(session: AsyncSession, handle: str) -> Holder | None:
    """The holder of this wallet id, or None. Upper and lower case are the same."""
    rows = await SessionTransaction(session).fetch(_HOLDER_OF_WALLET, handle.strip().lower())
    return Holder(*rows[0]) if rows else None
