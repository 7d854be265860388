"""The queries of this flow: refundable payments, refunded amounts, an owner's accounts, people to send money to."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared.auth.rules import is_handle
from shared.ledger.accounts import account_of, wallet_of
from shared.ledger.parties import holder_of_wallet
from shared.ledger.statement import balance_at, derived_balance
from shared.models import Account, Owner, ReversedTotal, User
from shared.transfers.errors import FilterTooShort, NotRefundable
from shared.transfers.receipts import get_receipt
from shared.transfers.views import Balance, Payee, Person, RefundablePayment

MIN_LETTERS = 3
"""Letters, digits or signs that a search for people needs, so that it lists no strangers and an index finds them."""

_WITHOUT_LETTER = frozenset(map(chr, (0x034F, *range(0x20DD, 0x20E5), *range(0xFE00, 0xFE10))))
"""Marks without a class of combining that are no part of a letter: enclosing ones, and variation selectors."""


async def get_refundable_payment(session: AsyncSession, *, shop_id: UUID, payment_id: UUID) -> RefundablePayment:
    """A payment that the shop received. Raises TransferNotFound, NotRefundable."""
    receipt = await get_receipt(session, reader=shop_id, transfer_id=payment_id)
    account = await wallet_of(session, shop_id)
    if receipt.kind != "payment" or receipt.recipient.wallet_id != account.handle:
        raise NotRefundable(receipt.kind)
    return RefundablePayment(receipt, (await refunded_amounts(session, [payment_id])).get(payment_id, 0))


async def refunded_amounts(session: AsyncSession, transfer_ids: Collection[UUID]) -> dict[UUID, int]:
    """Paise given back of each of these transfers; a transfer without a refund is left out."""
    if not transfer_ids:
        return {}
    statement = select(ReversedTotal.transfer_id, ReversedTotal.reversed).where(
        ReversedTotal.transfer_id.in_(transfer_ids)
    )
    return {row.transfer_id: row.reversed for row in await session.execute(statement)}


async def list_accounts(
    session: AsyncSession, *, owner_id: UUID, limit: int, after: UUID | None = None
) -> list[Account]:
    """At most `limit` of the owner's open accounts, the wallet and pots, oldest first, after the account `after`."""
    is_own = (Account.owner_id == owner_id, Account.closed_at.is_(None))
    statement = select(Account).where(*is_own).order_by(Account.id).limit(limit)
    if after is not None:
        statement = statement.where(Account.id > after)
    return list((await session.execute(statement)).scalars())


async def get_balance(
    session: AsyncSession, *, owner_id: UUID, account_id: UUID, at: datetime | None = None, is_derived: bool = False
) -> Balance:
    """The balance of one of the owner's accounts, now or as of the moment `at`. Raises AccountNotFound.

    `is_derived`: the entries are added up; otherwise a stored balance is read.
    """
    account = await account_of(session, owner_id, account_id)
    if is_derived:
        amount = await derived_balance(session, account.id, at)
    elif at is not None:
        amount = await balance_at(session, account.id, at)
    else:
        amount = account.balance
    return Balance(amount, account.currency)


async def find_people(
    session: AsyncSession, *, asked_by: UUID, text: str, limit: int, after: UUID | None = None
) -> list[Person]:
    """At most `limit` people whose name or wallet id contains `text`, in any case and with or without accents.

    Oldest member first; those after the person `after`. Never a shop, the platform's user or the person who asks.
    Raises FilterTooShort if the text has fewer than MIN_LETTERS and is no whole wallet id.
    """
    statement = _people_named(" ".join(text.split()), asked_by).limit(limit)
    if after is not None:
        statement = statement.where(User.id > after)
    rows = (await session.execute(statement)).all()
    return [Person(row.id, row.first_name, row.last_name, row.handle) for row in rows]


def _people_named(words: str, asked_by: UUID) -> Select[UUID, str, str, str | None]:
    """Raises FilterTooShort."""
    return (
        select(User.id, User.first_name, User.last_name, Account.handle)
        .join(Owner, Owner.id == User.id)
        .join(Account, Account.owner_id == User.id)
        .where(Account.kind == "wallet", Account.closed_at.is_(None), Owner.is_system.is_(False), User.id != asked_by)
        .where(_is_meant(words))
        .order_by(User.id)
    )


def _is_meant(words: str) -> ColumnElement[bool]:
    if _letters(words.partition("@")[0]) < MIN_LETTERS:
        if is_handle(words.lower()):
            return Account.handle == words.lower()
        raise FilterTooShort
    sought = select(func.search_fold(words)).scalar_subquery()
    # Every wallet id has the same end, so the end counts only when it was typed.
    local_part = func.split_part(Account.handle, "@", 1)
    in_name = func.strpos(User.search, sought) > 0
    in_wallet_id = func.strpos(Account.handle if "@" in words else local_part, sought) > 0
    grams = select(func.search_grams(func.split_part(func.search_fold(words), "@", 1))).scalar_subquery()
    by_name = select(User.id).where(func.search_grams(User.search).op("@>")(grams), in_name)
    by_wallet_id = select(Account.owner_id).where(
        Account.kind == "wallet", func.search_grams(local_part).op("@>")(grams), in_wallet_id
    )
    return User.id.in_(by_name.union(by_wallet_id))


def _letters(words: str) -> int:
    """What `search_fold` leaves of the words without blanks: vowel signs of Indian scripts count, accents do not."""
    return sum(
        unicodedata.category(each)[0] not in "CZ" and not unicodedata.combining(each) and each not in _WITHOUT_LETTER
        for each in unicodedata.normalize("NFKD", words)
    )


async def find_payee(session: AsyncSession, *, asked_by: UUID, wallet_id: str) -> Payee | None:
    """The person or shop with this wallet id, in any case; None if there is none."""
    holder = await holder_of_wallet(session, wallet_id)
    if holder is None:
        return None
    seen = holder.seen_by(asked_by)
    assert seen.wallet_id is not None
    return Payee(seen.name, seen.wallet_id, is_shop=holder.kind == "merchant", is_oneself=holder.owner_id == asked_by)
