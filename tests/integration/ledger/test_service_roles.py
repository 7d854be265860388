"""Posting under the database role of each service: one statement writes only the tables that the service may write."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from pydantic import SecretStr
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from infra.postgres.roles import SERVICE_ROLES, grant_service_roles
from shared.config import DatabaseSettings
from shared.db.engine import SessionMaker, create_engine, create_sessionmaker
from shared.idempotency.claims import Answer, claim_for
from shared.ids import new_id
from shared.ledger import system_accounts
from shared.ledger.group_commit import GroupCommit
from shared.ledger.post import Conclusion, Instruction, Together, post, post_one
from shared.ledger.rules import CaptureHold, PlaceHold, Posted, ReleaseHold, Transfer
from shared.models import Account
from shared.outbox.messages import Message
from tests.support.factories import create_merchant, create_user

# Roles are of the whole server: two tests must not make them at the same time.
pytestmark = pytest.mark.xdist_group("database roles")

PASSWORD = "for-tests-only-0123456789"


@asynccontextmanager
async def engine_of(role: str, database_url: str) -> AsyncIterator[AsyncEngine]:
    url = make_url(database_url).set(username=role, password=PASSWORD).render_as_string(hide_password=False)
    engine = create_engine(DatabaseSettings(database_url=SecretStr(url)), application_name=role)
    yield engine
    await engine.dispose()


@pytest.fixture
async def granted(fresh_database_url: str) -> str:
    passwords = dict.fromkeys(SERVICE_ROLES, PASSWORD)
    await asyncio.to_thread(grant_service_roles, fresh_database_url, passwords=passwords)
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
async def test_an_app_posts_with_keys_and_mail_and_places_holds(
    granted: str, buyer: Account, shop: Account, role: str
) -> None:
    instruction = pay(buyer, shop)
    assert instruction.claim is not None
    async with engine_of(role, granted) as engine:
        group_commit = GroupCommit(engine)
        assert isinstance(await group_commit.post(instruction), Posted)
        many = claim_for(instruction.claim.owner_id, "many", method="POST", route="/transfers/bulk", body={})
        commands = [Transfer(new_id(), "payment", buyer.id, shop.id, 1) for _ in range(3)]
        conclusion = Conclusion(Answer(200, {}), instruction.messages(Posted(commands[0])))
        await group_commit.post_together(Together(many, commands, lambda _outcomes: conclusion))
        await group_commit.close()
        async with create_sessionmaker(engine).begin() as session:
            hold = PlaceHold(new_id(), buyer.id, 5)
            await post(session, [hold, PlaceHold(new_id(), buyer.id, 5), ReleaseHold(hold.hold_id, buyer.id)])


@pytest.mark.parametrize("role", ["bank_webhook", "withdraw_worker"])
async def test_what_settles_posts_and_captures(
    granted: str, fresh_sessionmaker: SessionMaker, buyer: Account, role: str
) -> None:
    hold, bank = PlaceHold(new_id(), buyer.id, 5), system_accounts.SETTLEMENT["hdfc"]
    async with fresh_sessionmaker.begin() as session:
        await post_one(session, hold)
    async with engine_of(role, granted) as engine, create_sessionmaker(engine).begin() as session:
        await post_one(session, Transfer(new_id(), "onramp", bank, buyer.id, 7))
        await post_one(session, CaptureHold(hold.hold_id, Transfer(new_id(), "payout", buyer.id, bank, 5)))
