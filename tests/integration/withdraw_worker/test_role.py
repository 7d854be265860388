"""The scheduled work under the worker's own database role: what the grants leave it is enough."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy.engine import make_url

from infra.postgres.roles import SERVICE_ROLES, grant_service_roles
from services.withdraw_worker.housekeeping import purge_keys, purge_mail, purge_tokens, seal_all
from shared import clock
from shared.banks.messages import StatementItem
from shared.config import DatabaseSettings
from shared.db.engine import SessionMaker, create_engine, create_sessionmaker
from shared.idempotency.store import KEPT_FOR
from shared.ids import new_id
from shared.inflow.commands import roll_up_all
from shared.models import IdempotencyKey, PinFailure, RevokedToken
from shared.reconciliation.reconcile import reconcile_bank
from tests.support.bank_flows import bank_statement
from tests.support.factories import create_merchant, create_user

# Roles are of the whole server: two tests must not make them at the same time.
pytestmark = pytest.mark.xdist_group("database roles")

PASSWORD = "for-tests-only-0123456789"


@dataclass(frozen=True, slots=True)
class Bank:
    """A bank whose book is what the test says."""

    items: list[StatementItem]

    async def statement(self, start: datetime, end: datetime) -> list[StatementItem]:
        return self.items


@pytest.fixture
async def as_worker(fresh_database_url: str) -> AsyncIterator[SessionMaker]:
    """Sessions of the worker's role in the test's own database."""
    passwords = dict.fromkeys(SERVICE_ROLES, PASSWORD)
    await asyncio.to_thread(grant_service_roles, fresh_database_url, passwords=passwords)
    url = make_url(fresh_database_url).set(username="withdraw_worker", password=PASSWORD)
    settings = DatabaseSettings(database_url=SecretStr(url.render_as_string(hide_password=False)))
    engine = create_engine(settings, application_name="test")
    yield create_sessionmaker(engine)
    await engine.dispose()


async def test_its_role_is_enough_for_all_that_is_scheduled(
    fresh_sessionmaker: SessionMaker, as_worker: SessionMaker
) -> None:
    long_ago = clock.now() - KEPT_FOR - timedelta(days=1)
    async with fresh_sessionmaker.begin() as session:
        owner_id = (await create_user(session, balance=100_00)).owner_id
        await create_merchant(session, balance=5_00)
        session.add(IdempotencyKey(owner_id=owner_id, key="old", fingerprint="", field_hashes={}, created_at=long_ago))
        session.add(RevokedToken(id=new_id(), expires_at=long_ago))
        session.add(PinFailure(id=new_id(), owner_id=owner_id, failed_at=long_ago))
    assert await purge_keys(as_worker) == 1
    await purge_tokens(as_worker)
    await purge_mail(as_worker)
    assert await seal_all(as_worker) >= 1
    await roll_up_all(as_worker)

    now = clock.now()
    strays = Bank(bank_statement([("stray", "CREDIT", 700), ("astray", "DEBIT", 300)], start=now - timedelta(hours=1)))
    since = now - timedelta(days=1)
    for statement in (strays, strays, Bank([])):  # filed, known, closed again
        report = await reconcile_bank(as_worker, statement, "hdfc", since=since, until=now)
    assert report.ok or report.differences
