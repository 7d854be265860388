"""Receipts: one statement reads those of all who ask at that moment. Amounts in paise, times in UTC."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from shared.db.gather import Gather
from shared.ledger.parties import HOLDER_COLUMNS, Holder
from shared.transfers.errors import TransferNotFound
from shared.transfers.views import Ends, Receipt

# An entry that is archived takes its `balance_after` along; the rest of a receipt is the transfer's. Who initiated an
# adjustment is whom it is about: that owner did not make it, and reads it only as a party.
_DEBIT = HOLDER_COLUMNS.format(account="debit")
_CREDIT = HOLDER_COLUMNS.format(account="credit")
_ASK = f"""
    SELECT asked.place, CASE WHEN transfer.kind <> 'adjustment' THEN transfer.initiated_by END AS initiated_by,
           transfer.id, transfer.kind, transfer.amount, transfer.currency,
           transfer.note, transfer.created_at, {_DEBIT}, {_CREDIT},
           transfer.debit_account_id, debited.balance_after, transfer.credit_account_id, credited.balance_after
    FROM unnest(CAST({{ids}} AS uuid[])) WITH ORDINALITY AS asked (id, place)
    JOIN transfers transfer ON transfer.id = asked.id
    LEFT JOIN entries debited ON debited.transfer_id = transfer.id AND debited.direction = 'DEBIT'
    LEFT JOIN entries credited ON credited.transfer_id = transfer.id AND credited.direction = 'CREDIT'
    JOIN accounts debit ON debit.id = transfer.debit_account_id
    JOIN accounts credit ON credit.id = transfer.credit_account_id
"""  # noqa: S608 - constants of this code
_ASK_MANY = _ASK.format(ids="$1")
_ASK_ONE = text(_ASK.format(ids=":ids"))


class Receipts:
    """Finds the receipts of one app."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._gather = Gather(engine, _ask_all)

    async def find(self, *, reader: UUID, transfer_id: UUID) -> Receipt:
        """The transfer, for both parties and for the owner who initiated it. Raises TransferNotFound for all others."""
        return _seen(await self._gather.ask(transfer_id, reader), reader)


async def get_receipt(session: AsyncSession, *, reader: UUID, transfer_id: UUID) -> Receipt:
    """The same in a session."""
    return _seen((await session.execute(_ASK_ONE, {"ids": [transfer_id]})).one_or_none(), reader)


async def _ask_all(connection: asyncpg.Connection, asked: Sequence[UUID]) -> list[asyncpg.Record | None]:
    answers: list[asyncpg.Record | None] = [None] * len(asked)
    for row in await connection.fetch(_ASK_MANY, asked):
        answers[row[0] - 1] = row
    return answers


def _seen(row: Any, reader: UUID) -> Receipt:
    if row is None:
        raise TransferNotFound
    _, initiated_by, id_, kind, amount, currency, note, created_at, *rest = row
    ends = Ends(Holder(*rest[:6]), Holder(*rest[6:12]))
    if reader not in (initiated_by, ends.debit.owner_id, ends.credit.owner_id):
        raise TransferNotFound
    sender, recipient = ends.seen_by(reader)
    balances = {rest[12]: rest[13], rest[14]: rest[15]}
    own = ends.account_of(reader)
    return Receipt(
        id=id_,
        kind=kind,
        amount=amount,
        currency=currency,
        sender=sender,
        recipient=recipient,
        note=note,
        balance_after=None if own is None else balances[own],
        created_at=created_at,
    )
