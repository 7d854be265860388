"""Postgres goes away and comes back; no notice is lost and none is believed before it is committed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import httpx
import pytest
from sqlalchemy import event, text

from services.bank_webhook.main import create_app
from services.bank_webhook.settings import BankWebhookSettings
from shared.db.engine import SessionMaker
from shared.ledger.accounts import wallet_of
from shared.models import OnRamp
from tests.support.bank_notices import SignedRequest, create_on_ramp, payment_notice, signed, webhook_values
from tests.support.deadlines import deadline
from tests.support.factories import create_user
from tests.support.networks import Wire
from tests.support.serving import serving_beside
from tests.support.waiting import eventually_async, until_a_lock_is_awaited


@pytest.fixture
async def bank(database_url: str, wire: Wire) -> AsyncIterator[httpx.AsyncClient]:
    """Calls a webhook whose database is at the other end of the wire."""
    values = webhook_values(
        wire.through(database_url), database_lock_timeout_seconds=deadline(), webhook_commit_seconds=deadline(60)
    )
    # The wire runs on this loop, so nothing here may block it.
    async with (
        serving_beside(create_app(BankWebhookSettings(**values))) as url,
        httpx.AsyncClient(base_url=url, trust_env=False, timeout=deadline(90)) as client,
    ):
        yield client


async def an_on_ramp(sessionmaker: SessionMaker) -> OnRamp:
    async with sessionmaker.begin() as session:
        return await create_on_ramp(session, await create_user(session))


async def send(bank: httpx.AsyncClient, request: SignedRequest) -> httpx.Response:
    return await bank.post(request.path, content=request.body, headers=request.headers)


async def balance_of(sessionmaker: SessionMaker, on_ramp: OnRamp) -> int:
    async with sessionmaker() as session:
        return (await wallet_of(session, on_ramp.owner_id)).balance


async def test_while_postgres_is_away_the_bank_is_asked_to_come_again(
    bank: httpx.AsyncClient, wire: Wire, sessionmaker: SessionMaker
) -> None:
    before, on_ramp = await an_on_ramp(sessionmaker), await an_on_ramp(sessionmaker)
    assert (await send(bank, signed(payment_notice(before)))).status_code == 200  # the pool holds a connection now
    assert (await bank.get("/readyz")).status_code == 200
    wire.cut()
    request = signed(payment_notice(on_ramp))
    refused = await send(bank, request)
    assert (refused.status_code, refused.json()["code"]) == (503, "not_committed")
    assert int(refused.headers["retry-after"]) > 0
    assert (await bank.get("/healthz")).status_code == 200
    assert (await bank.get("/readyz")).status_code == 503
    assert await balance_of(sessionmaker, on_ramp) == 0
    wire.mend()
    accepted = await send(bank, request)
    assert (accepted.status_code, accepted.json()) == (200, {"verdict": "settled"})
    assert await balance_of(sessionmaker, on_ramp) == on_ramp.amount


async def test_a_lost_connection_that_can_be_replaced_is_not_the_banks_business(
    bank: httpx.AsyncClient, sessionmaker: SessionMaker
) -> None:
    first, second = await an_on_ramp(sessionmaker), await an_on_ramp(sessionmaker)
    assert (await send(bank, signed(payment_notice(first)))).status_code == 200
    async with sessionmaker.begin() as session:
        await session.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'bank_webhook' AND datname = current_database()"
            )
        )
    assert (await send(bank, signed(payment_notice(second)))).json() == {"verdict": "settled"}


@pytest.mark.parametrize(("breaks", "status"), [(2, 200), (3, 503)])
async def test_a_connection_that_closes_while_it_is_set_up_is_made_again(
    database_url: str, sessionmaker: SessionMaker, breaks: int, status: int
) -> None:
    on_ramp = await an_on_ramp(sessionmaker)
    app = create_app(BankWebhookSettings(**webhook_values(database_url)))
    made: list[object] = []

    def close_the_first(connection: object, _: object) -> None:
        made.append(connection)
        if len(made) <= breaks:
            raise asyncpg.InterfaceError("connection is closed")  # as the driver says it, and SQLAlchemy leaves it

    async with (
        serving_beside(app) as url,
        httpx.AsyncClient(base_url=url, trust_env=False, timeout=deadline(90)) as bank,
    ):
        event.listen(app.state.resources.direct_engine.sync_engine, "connect", close_the_first)
        answer = await send(bank, signed(payment_notice(on_ramp)))
    assert answer.status_code == status, answer.text
    assert answer.json().get("code") == (None if status == 200 else "not_committed")
    assert await balance_of(sessionmaker, on_ramp) == (on_ramp.amount if status == 200 else 0)


@pytest.mark.parametrize(("lock_seconds", "commit_seconds"), [(0.3, 60), (60, 1)], ids=["one lock", "all of it"])
async def test_a_row_locked_for_too_long_is_not_waited_for_for_ever(
    database_url: str, sessionmaker: SessionMaker, lock_seconds: float, commit_seconds: float
) -> None:
    on_ramp = await an_on_ramp(sessionmaker)
    values = webhook_values(
        database_url,
        database_lock_timeout_seconds=deadline(lock_seconds),
        webhook_commit_seconds=deadline(commit_seconds),
    )
    async with (
        serving_beside(create_app(BankWebhookSettings(**values))) as url,
        httpx.AsyncClient(base_url=url, trust_env=False, timeout=deadline(90)) as bank,
        sessionmaker() as blocker,
    ):
        await blocker.get_one(OnRamp, on_ramp.id, with_for_update=True)
        request = signed(payment_notice(on_ramp))
        refused = await send(bank, request)
        assert (refused.status_code, refused.json()["code"]) == (503, "not_committed")
        await blocker.rollback()

        async def taken() -> httpx.Response | None:  # the bank comes again: a second is little on a busy machine
            answer = await send(bank, request)
            return None if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE else answer

        assert (await eventually_async(taken, "the notice is taken")).json() == {"verdict": "settled"}
    assert await balance_of(sessionmaker, on_ramp) == on_ramp.amount


async def test_a_lock_that_goes_in_time_is_waited_for(bank: httpx.AsyncClient, sessionmaker: SessionMaker) -> None:
    on_ramp = await an_on_ramp(sessionmaker)
    async with sessionmaker() as blocker:
        await blocker.get_one(OnRamp, on_ramp.id, with_for_update=True)
        sent = asyncio.create_task(send(bank, signed(payment_notice(on_ramp))))
        await until_a_lock_is_awaited(sessionmaker)
        await blocker.rollback()
    assert (await sent).json() == {"verdict": "settled"}
