"""The webhook as it runs in earnest: under its own database role, which may do what it settles and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx
import pytest
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncSession

from infra.postgres.roles import SERVICE_ROLES, grant_service_roles
from services.bank_webhook.main import create_app
from services.bank_webhook.settings import BankWebhookSettings
from shared.banks.notices import Notice, PayoutNotice
from shared.db.engine import SessionMaker
from shared.ids import new_token
from shared.models import Withdrawal
from tests.support.bank_flows import create_withdrawal
from tests.support.bank_notices import create_on_ramp, payment_notice, signed, webhook_values
from tests.support.deadlines import deadline
from tests.support.factories import create_user

# Roles are of the whole server: two tests must not make them at the same time.
pytestmark = pytest.mark.xdist_group("database roles")


@dataclass(frozen=True)
class Place:
    """A database of the test's own, granted as in production."""

    sessionmaker: SessionMaker
    urls: dict[str, str]


@pytest.fixture
async def place(fresh_database_url: str, fresh_sessionmaker: SessionMaker) -> Place:
    password = "for-tests-only-0123456789"
    await asyncio.to_thread(grant_service_roles, fresh_database_url, passwords=dict.fromkeys(SERVICE_ROLES, password))
    url = make_url(fresh_database_url)
    urls = {
        role: url.set(username=role, password=password).render_as_string(hide_password=False) for role in SERVICE_ROLES
    }
    return Place(fresh_sessionmaker, urls)


@pytest.fixture
async def webhook(place: Place) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(BankWebhookSettings(**webhook_values(place.urls["bank_webhook"])))
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://webhook.test") as client,
    ):
        yield client


async def deliver(webhook: httpx.AsyncClient, notice: Notice, webhook_id: str | None = None) -> tuple[int, str]:
    request = signed(notice, webhook_id=webhook_id)
    response = await webhook.post(request.path, content=request.body, headers=request.headers)
    body = response.json()
    return response.status_code, body.get("verdict") or body["code"]


async def a_payout(session: AsyncSession) -> Withdrawal:
    wallet = await create_user(session, balance=100_00)
    return await create_withdrawal(session, wallet, 5_00, status="in_flight")


async def test_its_role_is_enough_for_every_notice_about_a_payment(place: Place, webhook: httpx.AsyncClient) -> None:
    async with place.sessionmaker.begin() as session:
        paid, declined = [await create_on_ramp(session, await create_user(session)) for _ in range(2)]
    assert (await webhook.get("/readyz")).status_code == 200
    name = new_token()
    assert await deliver(webhook, payment_notice(paid), name) == (200, "settled")
    assert await deliver(webhook, payment_notice(paid), name) == (200, "duplicate")
    assert await deliver(webhook, payment_notice(declined), name) == (200, "settled")  # another message, the same id
    assert await deliver(webhook, payment_notice(paid, "failure")) == (200, "noted")
    assert await deliver(webhook, payment_notice(paid, token="nobodys")) == (404, "unknown_token")
    assert await deliver(webhook, payment_notice(paid, amount=1)) == (422, "amount_mismatch")


async def test_its_role_is_enough_for_every_notice_about_a_payout(place: Place, webhook: httpx.AsyncClient) -> None:
    async with place.sessionmaker.begin() as session:
        rows = [await a_payout(session) for _ in "abc"]
    first, second, third = [str(row.id) for row in rows]

    def notice(reference: str, event: Any, amount: int = 5_00) -> PayoutNotice:
        return PayoutNotice(bank="hdfc", event=event, reference=reference, utr="UTR1", amount=amount, reason="CLOSED")

    assert await deliver(webhook, notice(first, "success")) == (200, "settled")
    assert await deliver(webhook, notice(first, "reversed")) == (200, "settled")
    assert await deliver(webhook, notice(first, "failure")) == (200, "noted")
    assert await deliver(webhook, notice(second, "failure")) == (200, "settled")
    assert await deliver(webhook, notice(third, "success", amount=1)) == (422, "amount_mismatch")
    assert await deliver(webhook, notice("not-an-id", "success")) == (404, "unknown_reference")


RECORDS = ("accounts", "holds", "on_ramps", "withdrawals", "webhook_inbox", "owners", "users", "merchants")


@pytest.mark.parametrize("role", SERVICE_ROLES)
async def test_no_service_can_do_what_none_of_its_flows_does(place: Place, role: str) -> None:
    refused = [
        *(f"DELETE FROM {table}" for table in (*RECORDS, "transfers", "entries", "withdrawal_events")),
        *(f"TRUNCATE {table}" for table in ("entries", "idempotency_keys")),
        "UPDATE owners SET is_system = true",
        "UPDATE owners SET kind = 'user'",
        "UPDATE accounts SET allow_negative = true",
        "UPDATE accounts SET owner_id = NULL",
        "UPDATE withdrawals SET account_number = '1'",
        "UPDATE withdrawals SET amount = 1",
        "UPDATE on_ramps SET amount = 1",
        "UPDATE on_ramps SET account_id = id",
        "UPDATE holds SET amount = 1",
        "UPDATE entries SET amount = 1",
        "ALTER TABLE entries DISABLE TRIGGER append_only",
        "SET session_replication_role = replica",
        "CREATE TABLE x ()",
    ]
    if role == "bank_webhook":
        refused += [
            *(f"SELECT 1 FROM {table}" for table in ("users", "merchants", "idempotency_keys", "pin_failures")),
            "SELECT password_hash FROM owners",
            "DELETE FROM idempotency_keys",
            "DELETE FROM revoked_tokens",
            "UPDATE outbox_messages SET sent_at = now()",
            "INSERT INTO owners (id) VALUES (gen_random_uuid())",
            "INSERT INTO holds (id) VALUES (gen_random_uuid())",
        ]
    else:
        refused.append("UPDATE webhook_inbox SET verdict = 'settled'")
    if role == "withdraw_worker":
        refused.remove("DELETE FROM webhook_inbox")  # it purges what is older than five years, which a trigger checks
    connection = await asyncpg.connect(place.urls[role], timeout=deadline())
    try:
        for statement in refused:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement, timeout=deadline())
    finally:
        await connection.close(timeout=deadline())
