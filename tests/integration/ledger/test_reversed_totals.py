"""Postgres itself rejects what would reverse more than a transfer moved, whatever the application does."""

from __future__ import annotations

import asyncio
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from infra.postgres.roles import SERVICE_ROLES
from shared.db.engine import SessionMaker
from shared.ids import new_id
from shared.ledger.post import post_one
from shared.ledger.rules import Transfer
from shared.models import ReversedTotal
from tests.support.deadlines import deadline
from tests.support.factories import create_merchant, create_user
from tests.support.service_roles import connected, grant, posting
from tests.support.waiting import until_a_lock_is_awaited

# Roles are of the whole server: two tests must not make them at the same time.
pytestmark = pytest.mark.xdist_group("database roles")

REVERSE = text("""
    INSERT INTO transfers (id, kind, debit_account_id, credit_account_id, amount, currency, reverses, created_at)
    SELECT gen_random_uuid(), 'refund', credit_account_id, debit_account_id, unnest(CAST(:amounts AS bigint[])),
           currency, id, now()
    FROM transfers WHERE id = :payment
""")
"""A refund past the ledger, its locks and its rules."""


async def reverse(session: AsyncSession, payment: UUID, *amounts: int) -> None:
    await session.execute(REVERSE, {"payment": payment, "amounts": list(amounts)})


async def total(sessionmaker: SessionMaker, payment: UUID) -> tuple[int, int] | None:
    async with sessionmaker() as session:
        row = await session.get(ReversedTotal, payment)
        return None if row is None else (row.amount, row.reversed)


@pytest.fixture
async def payment(sessionmaker: SessionMaker) -> UUID:
    """A payment of 1,000 paise."""
    async with sessionmaker.begin() as session:
        buyer, shop = await create_user(session, balance=1000), await create_merchant(session)
        paid = Transfer(new_id(), "payment", buyer.id, shop.id, 1000)
        await post_one(session, paid)
    return paid.id


async def test_every_refund_is_added_to_its_payments_total(sessionmaker: SessionMaker, payment: UUID) -> None:
    assert await total(sessionmaker, payment) is None
    async with sessionmaker.begin() as session:
        await reverse(session, payment, 150)
    assert await total(sessionmaker, payment) == (1000, 150)
    async with sessionmaker.begin() as session:
        await reverse(session, payment, 200, 50)
    assert await total(sessionmaker, payment) == (1000, 400)


async def test_a_refund_that_is_rolled_back_is_not_counted(sessionmaker: SessionMaker, payment: UUID) -> None:
    async with sessionmaker() as session:
        await reverse(session, payment, 1000)
        await session.rollback()
    assert await total(sessionmaker, payment) is None


@pytest.mark.parametrize("amounts", [(1001,), (600, 401), (1, 1, 999)])
async def test_refunds_beyond_the_payment_are_rejected_together(
    sessionmaker: SessionMaker, payment: UUID, amounts: tuple[int, ...]
) -> None:
    async with sessionmaker() as session:
        with pytest.raises(IntegrityError, match="ck_reversed_totals_reversed_within_amount"):
            await reverse(session, payment, *amounts)
    assert await total(sessionmaker, payment) is None


async def test_of_two_refunds_at_once_the_second_waits_and_is_rejected(
    sessionmaker: SessionMaker, payment: UUID
) -> None:
    async def second() -> None:
        async with sessionmaker.begin() as session:
            await reverse(session, payment, 600)

    async with sessionmaker() as first:
        await reverse(first, payment, 600)
        other = asyncio.create_task(second())
        await until_a_lock_is_awaited(sessionmaker)
        await first.commit()
    with pytest.raises(IntegrityError, match="ck_reversed_totals_reversed_within_amount"):
        await other
    assert await total(sessionmaker, payment) == (1000, 600)


WRITES = (
    "INSERT INTO reversed_totals VALUES (gen_random_uuid(), 1, 1)",
    "UPDATE reversed_totals SET reversed = 1",
    "DELETE FROM reversed_totals",
    "TRUNCATE reversed_totals",
)


@pytest.mark.parametrize("statement", WRITES)
async def test_the_owner_of_the_schema_cannot_write_a_total_either(sessionmaker: SessionMaker, statement: str) -> None:
    async with sessionmaker() as session:
        with pytest.raises(DBAPIError, match="reversed_totals is written by a trigger alone"):
            await session.execute(text(statement))


async def test_a_service_cannot_write_a_total_and_its_refunds_are_counted(
    fresh_database_url: str, fresh_sessionmaker: SessionMaker
) -> None:
    await grant(fresh_database_url)
    async with fresh_sessionmaker.begin() as session:
        buyer, shop = await create_user(session, balance=1000), await create_merchant(session)
        paid = Transfer(new_id(), "payment", buyer.id, shop.id, 1000)
        await post_one(session, paid)
    refused = (*WRITES, "ALTER TABLE transfers DISABLE TRIGGER count_reversal", "SELECT count_reversal()")
    for role in SERVICE_ROLES:
        async with connected(fresh_database_url, role) as connection:
            for statement in refused:
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(statement, timeout=deadline())
    statement, arguments = posting(
        ids=[new_id()],
        amounts=[300],
        the_kind="refund",
        the_debited=shop.id,
        the_credited=buyer.id,
        the_initiator=shop.owner_id,
        the_original=paid.id,
    )
    async with connected(fresh_database_url, "merchant_app") as connection:
        await connection.execute(statement, *arguments, timeout=deadline())
    assert await total(fresh_sessionmaker, paid.id) == (1000, 300)
