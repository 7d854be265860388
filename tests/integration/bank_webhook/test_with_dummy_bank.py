"""The whole way in: our request, the person at the bank's page, the bank's own notice, the money."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from services.bank_webhook.main import create_app
from services.bank_webhook.settings import BankWebhookSettings
from services.dummy_bank.main import create_app as create_bank
from services.dummy_bank.settings import BankSimulatorSettings
from shared.banks.client import BankClient, clients_for
from shared.banks.table import BANKS
from shared.config import OnRampSettings
from shared.db.engine import SessionMaker
from shared.http.keyed_requests import START_ON_RAMP
from shared.idempotency.marks import Marks
from shared.ids import new_token
from shared.ledger.accounts import wallet_of
from shared.models import Entry, OnRamp
from shared.on_ramps import commands
from tests.support.bank_notices import SECRETS, webhook_values
from tests.support.bank_settings import BANK_API_KEY, endpoints, simulator_values
from tests.support.deadlines import deadline
from tests.support.factories import create_user
from tests.support.serving import listening, serving
from tests.support.waiting import eventually_async

AMOUNT = 200000


@pytest.fixture(scope="module")
def bank_url(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A webhook, and banks that call it."""
    with serving(create_app(BankWebhookSettings(**webhook_values(database_url)))) as webhook, listening() as bound:
        settings = BankSimulatorSettings(
            database=Path(tmp_path_factory.mktemp("bank")) / "bank.sqlite",
            public_url=f"http://127.0.0.1:{bound.getsockname()[1]}",
            **simulator_values(SECRETS, webhook_url=webhook),
            webhook_retry_base_seconds=0.05,
        )
        with serving(create_bank(settings), bound) as url:
            yield url


@pytest.fixture
async def clients(bank_url: str) -> AsyncIterator[dict[str, BankClient]]:
    """Our clients of every bank."""
    found = clients_for(endpoints(bank_url), timeout_seconds=deadline())
    yield found
    for client in found.values():
        await client.aclose()


async def choose_faults(bank_url: str, bank: str, faults: dict[str, Any]) -> None:
    async with httpx.AsyncClient(trust_env=False) as operator:
        url = f"{bank_url}/{bank}/api/faults"
        (await operator.put(url, json=faults, headers={"X-Api-Key": BANK_API_KEY})).raise_for_status()


async def decide(redirect_url: str, decision: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as browser:
        form = {"customer_id": "demo", "password": "demo", "decision": decision}
        assert (await browser.post(redirect_url, data=form)).status_code == 303


async def settled(sessionmaker: SessionMaker, on_ramp_id: str) -> OnRamp:
    async def settled_row() -> OnRamp | None:
        async with sessionmaker() as session:
            row = (await session.execute(select(OnRamp).where(OnRamp.id == on_ramp_id))).scalar_one()
        return None if row.status == "pending" else row

    return await eventually_async(settled_row, "the bank's notice settles the on-ramp")


@pytest.mark.parametrize("bank", BANKS)
@pytest.mark.parametrize("decision", ["approve", "decline"])
@pytest.mark.parametrize(
    "faults",
    [{}, {"webhook_duplicate_rate": 1, "webhook_wrong_amount_rate": 1, "webhook_bad_signature_rate": 1}],
)
async def test_what_the_person_decides_at_the_bank_arrives_once(
    bank_url: str,
    clients: dict[str, BankClient],
    sessionmaker: SessionMaker,
    *,
    bank: str,
    decision: str,
    faults: dict[str, Any],
) -> None:
    await choose_faults(bank_url, bank, faults)
    async with sessionmaker.begin() as session:
        wallet = await create_user(session)
    assert wallet.owner_id is not None
    answer = await commands.start(
        START_ON_RAMP.request(wallet.owner_id, new_token()),
        bank=bank,
        amount=AMOUNT,
        sessionmaker=sessionmaker,
        clients=clients,
        marks=Marks(sessionmaker),
        settings=OnRampSettings(user_app_url="https://batua.example"),
    )
    await decide(answer.body["redirect_url"], decision)
    row = await settled(sessionmaker, answer.body["id"])
    is_paid = decision == "approve"
    assert row.status == ("success" if is_paid else "failure")
    async with sessionmaker() as session:
        balance = (await wallet_of(session, wallet.owner_id)).balance
        entries = await session.scalar(select(func.count()).select_from(Entry).where(Entry.account_id == wallet.id))
    assert (balance, entries) == ((AMOUNT, 1) if is_paid else (0, 0))
