"""Posting under the database role of each service: what its flows write passes, by the ledger's function alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from pydantic import SecretStr
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from infra.postgres.roles import SERVICE_ROLES
from shared.config import DatabaseSettings
from shared.db.engine import SessionMaker, create_engine, create_sessionmaker
from shared.idempotency.claims import Answer, claim_for
from shared.ids import new_id
from shared.ledger.group_commit import GroupCommit
from shared.ledger.post import Conclusion, Instruction, Together
from shared.ledger.rules import Posted, Transfer
from shared.models import Account
from shared.models.webhook_delivery import Verdict
from shared.on_ramps.settlement import settle as settle_on_ramp
from shared.outbox.messages import Message
from shared.withdrawals import rows
from shared.withdrawals.commands import cancel
from shared.withdrawals.facts import Conclusion as BankSays
from shared.withdrawals.facts import PayoutRefused, PayoutReversed
from shared.withdrawals.settlement import settle
from tests.support.bank_flows import create_withdrawal
from tests.support.bank_notices import create_on_ramp, payment_notice
from tests.support.factories import create_merchant, create_user
from tests.support.service_roles import PASSWORD, connected, grant

# Roles are of the whole server: two tests must not make them at the same time.
pytestmark = pytest.mark.xdist_group("database roles")


@asynccontextmanager
async def engine_of(role: str, database_url: str) -> AsyncIterator[AsyncEngine]:
    url = make_url(database_url).set(username=role, password=PASSWORD).render_as_string(hide_password=False)
    engine = create_engine(DatabaseSettings(database_url=SecretStr(url)), application_name=role)
    yield engine
    await engine.dispose()


@pytest.fixture
async def granted(fresh_database_url: str) -> str:
    await grant(fresh_database_url)
    return fresh_database_url


@pytest.fixture
async def buyer(fresh_sessionmaker: SessionMaker) -> Account:
    async with fresh_sessionmaker.begin() as session:
        return await create_user(session, balance=1000)


@pytest.fixture
async def shop(fresh_sessionmaker: SessionMaker) -> Account:
    async with fresh_sessionmaker.begin() as session:
        return await create_merchant(session, balance=1000)


def pay(buyer: Account, shop: Account) -> Instruction:
    assert buyer.owner_id is not None
    return Instruction(
        Transfer(new_id(), "payment", buyer.id, shop.id, 10, initiated_by=buyer.owner_id),
        claim_for(buyer.owner_id, "one", method="POST", route="/transfers", body={}),
        lambda posted: Answer(201, {"balance_after": posted.balance_after(buyer.id)}),
        lambda _posted: [Message("money_received", shop.owner_id, {})] if shop.owner_id else [],
    )


@pytest.mark.parametrize("role", ["user_app", "merchant_app"])
async def test_an_app_posts_with_keys_and_mail_places_holds_and_cancels(
    granted: str, buyer: Account, shop: Account, role: str
) -> None:
    instruction = pay(buyer, shop)
    assert instruction.claim is not None
    async with engine_of(role, granted) as engine:
        group_commit = GroupCommit(engine)
        assert isinstance(await group_commit.post(instruction), Posted)
        many = claim_for(instruction.claim.owner_id, "many", method="POST", route="/transfers/bulk", body={})
        commands = [Transfer(new_id(), "payment", buyer.id, shop.id, 1, initiated_by=buyer.owner_id) for _ in range(3)]
        conclusion = Conclusion(Answer(200, {}), instruction.messages(Posted(commands[0])))
        await group_commit.post_together(Together(many, commands, lambda _outcomes: conclusion))
        await group_commit.close()
        async with create_sessionmaker(engine).begin() as session:
            queued = await create_withdrawal(session, buyer, 5, status="queued")
            await create_withdrawal(session, shop, 5, status="cancelled")
        async with create_sessionmaker(engine).begin() as session:
            cancelled = await cancel(session, owner_id=queued.owner_id, withdrawal_id=queued.id)
        assert cancelled.withdrawal.status == "cancelled"


@pytest.mark.parametrize("role", ["bank_webhook", "withdraw_worker"])
async def test_what_settles_credits_captures_and_releases(
    granted: str, fresh_sessionmaker: SessionMaker, buyer: Account, shop: Account, role: str
) -> None:
    async with fresh_sessionmaker.begin() as session:
        on_ramp = await create_on_ramp(session, buyer)
        sent = [await create_withdrawal(session, account, 5, status="in_flight") for account in (buyer, shop)]
    async with engine_of(role, granted) as engine, create_sessionmaker(engine).begin() as session:
        await settle_on_ramp(session, payment_notice(on_ramp))
        facts: list[BankSays] = [PayoutReversed("UTR", "CLOSED"), PayoutRefused("CLOSED")]
        withdrawals = await rows.lock_all(session, [withdrawal.id for withdrawal in sent])
        for withdrawal, fact in zip(sent, facts, strict=True):
            assert await settle(session, withdrawals[withdrawal.id], fact) is Verdict.SETTLED


async def test_the_version_before_keeps_its_rights_until_they_are_taken_away(granted: str, buyer: Account) -> None:
    """It wrote the tables itself, by these rights."""
    before = (
        "UPDATE accounts SET balance = balance, held = held, seq = seq WHERE false",
        "INSERT INTO transfers SELECT * FROM transfers WHERE false",
        "INSERT INTO entries SELECT * FROM entries WHERE false",
        "UPDATE holds SET status = status, transfer_id = transfer_id, closed_at = closed_at WHERE false",
    )
    for role in SERVICE_ROLES:
        await grant(granted, with_version_before=True)
        async with connected(granted, role) as connection:
            for statement in before:
                await connection.execute(statement)
        await grant(granted)
        async with connected(granted, role) as connection:
            for statement in before:
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.execute(statement)


async def test_the_version_before_posts_meanwhile(granted: str, buyer: Account, shop: Account) -> None:
    """As it did: by its own statements, without the function."""
    await grant(granted, with_version_before=True)
    transfer_id, values = new_id(), (buyer.id, shop.id)
    async with connected(granted, "user_app") as connection, connection.transaction():
        await connection.execute(
            "INSERT INTO transfers (id, kind, debit_account_id, credit_account_id, amount, currency, created_at)"
            " VALUES ($1, 'payment', $2, $3, 10, 'INR', now())",
            *(transfer_id, *values),
        )
        for account_id, change, direction in zip(values, (-10, 10), ("DEBIT", "CREDIT"), strict=True):
            await connection.execute(
                "WITH changed AS (UPDATE accounts SET balance = balance + $2, seq = seq + 1 WHERE id = $1 RETURNING *)"
                " INSERT INTO entries SELECT id, seq, $3, $4, 10, balance, now() FROM changed",
                *(account_id, change, transfer_id, direction),
            )
