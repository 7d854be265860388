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
from services.withdraw_worker import sendings
from services.withdraw_worker.housekeeping import (
    purge_inbox,
    purge_keys,
    purge_mail,
    purge_proofs,
    purge_tokens,
    seal_all,
)
from services.withdraw_worker.proving import prove_new_if_due
from shared import clock
from shared.banks.messages import StatementItem
from shared.config import DatabaseSettings
from shared.db.engine import SessionMaker, create_engine, create_sessionmaker
from shared.idempotency.store import KEPT_FOR
from shared.ids import new_id
from shared.inflow.commands import roll_up_all
from shared.models import IdempotencyKey, PinFailure, RevokedToken
from shared.outbox.settings import MailSettings
from shared.proof import runs
from shared.proof.prove import prove
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
    await purge_inbox(as_worker)
    assert await seal_all(as_worker) >= 1
    await roll_up_all(as_worker)
    settings = MailSettings(smtp_host="127.0.0.1", smtp_port=1, operator_email="operator@batua.example")
    await prove_new_if_due(as_worker, settings)
    await runs.finish_whole(as_worker, await runs.begin(as_worker, "whole"), await prove(as_worker))
    await purge_proofs(as_worker)

    now = clock.now()
    strays = Bank(bank_statement([("stray", "CREDIT", 700), ("astray", "DEBIT", 300)], start=now - timedelta(hours=1)))
    since = now - timedelta(days=1)
    for statement in (strays, strays, Bank([])):  # filed, known, closed again
        report = await reconcile_bank(as_worker, statement, "hdfc", since=since, until=now)
    assert report.ok or report.differences


async def test_its_role_is_enough_to_share_the_schedule(as_worker: SessionMaker) -> None:
    now, sent = clock.now(), list[str]()
    assert await sendings.take_lease(as_worker, "first", 3600)
    last = (await sendings.counted_from(as_worker, ["mail"], now))["mail"]
    later = now + timedelta(seconds=1)
    assert await sendings.send_once(as_worker, "first", "mail", lambda: sent.append("mail"), last=last, now=later)
    await sendings.give_back(as_worker, "first")
    assert await sendings.take_lease(as_worker, "second", 3600)
    assert sent == ["mail"]
