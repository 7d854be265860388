"""Copies of notices all at once, through the whole service, committing for real."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import httpx
import pytest
from sqlalchemy import func, select

from services.bank_webhook.main import create_app
from services.bank_webhook.settings import BankWebhookSettings
from shared.db.engine import SessionMaker
from shared.ids import new_token
from shared.ledger.accounts import wallet_of
from shared.models import Entry, OnRamp, WebhookDelivery
from tests.support.bank_notices import SignedRequest, create_on_ramp, payment_notice, signed, webhook_values
from tests.support.deadlines import deadline
from tests.support.factories import create_user
from tests.support.serving import serving


@pytest.fixture
async def bank(database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """Calls a running webhook."""
    settings = BankWebhookSettings(**webhook_values(database_url))
    with serving(create_app(settings)) as url:
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=deadline(60)) as client:
            yield client


async def an_on_ramp(sessionmaker: SessionMaker) -> OnRamp:
    async with sessionmaker.begin() as session:
        return await create_on_ramp(session, await create_user(session))


async def send(bank: httpx.AsyncClient, request: SignedRequest) -> tuple[int, str]:
    response = await bank.post(request.path, content=request.body, headers=request.headers)
    body = response.json()
    return response.status_code, body.get("verdict") or body["code"]


async def credits_of(sessionmaker: SessionMaker, on_ramp: OnRamp) -> tuple[int, int]:
    """The balance, and how many entries made it."""
    async with sessionmaker() as session:
        wallet = await wallet_of(session, on_ramp.owner_id)
        entries = await session.scalar(select(func.count()).select_from(Entry).where(Entry.account_id == wallet.id))
    return wallet.balance, entries or 0


async def test_twenty_copies_of_one_delivery_credit_once(bank: httpx.AsyncClient, sessionmaker: SessionMaker) -> None:
    on_ramp = await an_on_ramp(sessionmaker)
    request = signed(payment_notice(on_ramp))
    answers = await asyncio.gather(*(send(bank, request) for _ in range(20)))
    assert Counter(answers) == {(200, "settled"): 1, (200, "duplicate"): 19}
    assert await credits_of(sessionmaker, on_ramp) == (on_ramp.amount, 1)


async def test_twenty_deliveries_of_one_fact_credit_once(bank: httpx.AsyncClient, sessionmaker: SessionMaker) -> None:
    on_ramp = await an_on_ramp(sessionmaker)
    name = new_token()
    requests = [signed(payment_notice(on_ramp), webhook_id=f"{name}-{number}") for number in range(20)]
    answers = await asyncio.gather(*(send(bank, request) for request in requests))
    assert Counter(answers) == {(200, "settled"): 1, (200, "duplicate"): 19}
    assert await credits_of(sessionmaker, on_ramp) == (on_ramp.amount, 1)
    async with sessionmaker() as session:
        kept = await session.execute(
            select(WebhookDelivery.verdict).where(WebhookDelivery.webhook_id.startswith(name, autoescape=True))
        )
    assert Counter(kept.scalars()) == {"settled": 1, "duplicate": 19}


async def test_success_and_failure_racing_end_credited_and_told_apart(
    bank: httpx.AsyncClient, sessionmaker: SessionMaker
) -> None:
    """Whichever comes first: success is money received, failure after it is flagged, before it is overruled."""
    on_ramps = [await an_on_ramp(sessionmaker) for _ in range(10)]
    requests = [
        signed(payment_notice(on_ramp, event)) for on_ramp in on_ramps for event in ("success", "failure", "success")
    ]
    answers = await asyncio.gather(*(send(bank, request) for request in requests))
    assert {status for status, _ in answers} == {200}
    for on_ramp in on_ramps:
        assert await credits_of(sessionmaker, on_ramp) == (on_ramp.amount, 1)
        async with sessionmaker() as session:
            row = await session.get_one(OnRamp, on_ramp.id)
        assert row.status == "success"
        assert row.is_contradicted != row.is_late_success


async def test_many_people_paying_in_at_once_are_all_credited(
    bank: httpx.AsyncClient, sessionmaker: SessionMaker
) -> None:
    """All go through one settlement account."""
    on_ramps = [await an_on_ramp(sessionmaker) for _ in range(40)]
    answers = await asyncio.gather(*(send(bank, signed(payment_notice(each))) for each in on_ramps))
    assert Counter(answers) == {(200, "settled"): 40}
    for on_ramp in on_ramps:
        assert await credits_of(sessionmaker, on_ramp) == (on_ramp.amount, 1)
