"""What an authentic notice does, and what the bank is told."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from shared import clock
from shared.banks.notices import Notice, PayoutNotice
from shared.banks.signatures import sign
from shared.banks.table import BANKS
from shared.db.engine import SessionMaker
from shared.ids import new_id, new_token
from shared.ledger.accounts import wallet_of
from shared.models import Account, OnRamp, OutboxMessage, Transfer, WebhookDelivery
from tests.support.bank_notices import SECRETS, create_on_ramp, payment_notice, signed
from tests.support.factories import create_user


async def a_pending_on_ramp(sessionmaker: SessionMaker, **facts: Any) -> OnRamp:
    async with sessionmaker.begin() as session:
        return await create_on_ramp(session, await create_user(session), **facts)


async def deliver(bank: httpx.AsyncClient, notice: Notice, webhook_id: str | None = None) -> tuple[int, str]:
    request = signed(notice, webhook_id=webhook_id)
    response = await bank.post(request.path, content=request.body, headers=request.headers)
    body = response.json()
    return response.status_code, body.get("verdict") or body["code"]


async def balance_of(sessionmaker: SessionMaker, on_ramp: OnRamp) -> int:
    async with sessionmaker() as session:
        return (await wallet_of(session, on_ramp.owner_id)).balance


async def row_of(sessionmaker: SessionMaker, on_ramp: OnRamp) -> OnRamp:
    async with sessionmaker() as session:
        return await session.get_one(OnRamp, on_ramp.id)


async def inbox_of(sessionmaker: SessionMaker, webhook_id: str) -> list[WebhookDelivery]:
    async with sessionmaker() as session:
        found = await session.execute(select(WebhookDelivery).where(WebhookDelivery.webhook_id == webhook_id))
        return list(found.scalars())


@pytest.mark.parametrize("code", BANKS)
async def test_a_success_credits_the_wallet_and_tells_its_owner(
    bank: httpx.AsyncClient, sessionmaker: SessionMaker, code: str
) -> None:
    on_ramp = await a_pending_on_ramp(sessionmaker, bank=code, amount=12345)
    name = new_token()
    assert await deliver(bank, payment_notice(on_ramp), name) == (200, "settled")
    assert await balance_of(sessionmaker, on_ramp) == 12345
    row = await row_of(sessionmaker, on_ramp)
    assert (row.status, row.bank_reference, row.is_late_success) == ("success", "UTR1", False)
    assert row.next_enquiry_at is None
    (kept,) = await inbox_of(sessionmaker, name)
    assert (kept.verdict, kept.on_ramp_id, kept.payload["token"]) == ("settled", on_ramp.id, on_ramp.token)
    async with sessionmaker() as session:
        transfer = await session.get_one(Transfer, row.transfer_id)
        mail = await session.execute(select(OutboxMessage).where(OutboxMessage.owner_id == on_ramp.owner_id))
    assert (transfer.kind, transfer.amount, transfer.initiated_by) == ("onramp", 12345, on_ramp.owner_id)
    assert [message.kind for message in mail.scalars()] == ["money_received"]


async def test_a_copy_changes_nothing_under_the_same_and_under_another_id(
    bank: httpx.AsyncClient, sessionmaker: SessionMaker
) -> None:
    on_ramp = await a_pending_on_ramp(sessionmaker)
    notice, name = payment_notice(on_ramp), new_token()
    assert await deliver(bank, notice, name) == (200, "settled")
    assert await deliver(bank, notice, name) == (200, "duplicate")
    assert await deliver(bank, notice, "other-" + name) == (200, "duplicate")
    assert await balance_of(sessionmaker, on_ramp) == on_ramp.amount
    assert [row.verdict for row in await inbox_of(sessionmaker, name)] == ["settled"]
    assert [row.verdict for row in await inbox_of(sessionmaker, "other-" + name)] == ["duplicate"]


async def test_an_id_used_for_another_message_is_two_deliveries_and_is_reported(
    bank: httpx.AsyncClient, sessionmaker: SessionMaker, caplog: pytest.LogCaptureFixture
) -> None:
    """Dropped as a copy, the news in it would be lost; the bank would think it delivered."""
    first, second = await a_pending_on_ramp(sessionmaker), await a_pending_on_ramp(sessionmaker)
    name = new_token()
    assert await deliver(bank, payment_notice(first), name) == (200, "settled")
    assert "ERROR" not in {record.levelname for record in caplog.records}
    assert await deliver(bank, payment_notice(second), name) == (200, "settled")
    assert "ERROR" in {record.levelname for record in caplog.records}
    for on_ramp in (first, second):
        assert await deliver(bank, payment_notice(on_ramp), name) == (200, "duplicate")
        assert await balance_of(sessionmaker, on_ramp) == on_ramp.amount
        assert (await row_of(sessionmaker, on_ramp)).status == "success"


async def test_an_id_used_for_an_unknown_token_does_not_keep_the_right_one_out(
    bank: httpx.AsyncClient, sessionmaker: SessionMaker
) -> None:
    on_ramp, name = await a_pending_on_ramp(sessionmaker), new_token()
    assert await deliver(bank, replace(payment_notice(on_ramp), token="nobodys"), name) == (404, "unknown_token")
    assert await deliver(bank, payment_notice(on_ramp), name) == (200, "settled")
    [kept] = await inbox_of(sessionmaker, name)
    assert (kept.verdict, kept.payload["token"]) == ("unknown_token", "nobodys")


async def test_the_same_id_of_two_banks_is_two_deliveries(bank: httpx.AsyncClient, sessionmaker: SessionMaker) -> None:
    ours = [await a_pending_on_ramp(sessionmaker, bank=code) for code in BANKS]
    name = new_token()
    assert [await deliver(bank, payment_notice(each), name) for each in ours] == [(200, "settled")] * 2


async def test_a_failure_credits_nothing(bank: httpx.AsyncClient, sessionmaker: SessionMaker) -> None:
    on_ramp = await a_pending_on_ramp(sessionmaker)
    assert await deliver(bank, payment_notice(on_ramp, "failure")) == (200, "settled")
    assert await deliver(bank, payment_notice(on_ramp, "failure")) == (200, "duplicate")
    row = await row_of(sessionmaker, on_ramp)
    assert (row.status, row.failure_reason, row.transfer_id) == ("failure", "declined", None)
    assert await balance_of(sessionmaker, on_ramp) == 0


async def test_a_success_after_a_failure_is_credited_and_marked(
    bank: httpx.AsyncClient, sessionmaker: SessionMaker
) -> None:
    on_ramp = await a_pending_on_ramp(sessionmaker)
    await deliver(bank, payment_notice(on_ramp, "failure"))
    assert await deliver(bank, payment_notice(on_ramp)) == (200, "settled")
    assert await deliver(bank, payment_notice(on_ramp)) == (200, "duplicate")
    row = await row_of(sessionmaker, on_ramp)
    assert (row.status, row.is_late_success, row.failure_reason) == ("success", True, None)
    assert await balance_of(sessionmaker, on_ramp) == on_ramp.amount


async def test_a_failure_after_a_success_changes_nothing_and_is_flagged(
    bank: httpx.AsyncClient, sessionmaker: SessionMaker
) -> None:
    on_ramp = await a_pending_on_ramp(sessionmaker)
    await deliver(bank, payment_notice(on_ramp))
    name = new_token()
    assert await deliver(bank, payment_notice(on_ramp, "failure"), name) == (200, "noted")
    assert await deliver(bank, payment_notice(on_ramp, "failure"), name) == (200, "duplicate")
    row = await row_of(sessionmaker, on_ramp)
    assert (row.status, row.is_contradicted) == ("success", True)
    assert await balance_of(sessionmaker, on_ramp) == on_ramp.amount
    assert [each.verdict for each in await inbox_of(sessionmaker, name)] == ["contradiction"]


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({"amount": 20001}, (422, "amount_mismatch")),
        ({"amount": 10**13}, (422, "amount_mismatch")),
        ({"user_id": "another-person"}, (422, "user_mismatch")),
        ({"token": "unheard-of"}, (404, "unknown_token")),
    ],
)
@pytest.mark.parametrize("event", ["success", "failure"])
async def test_a_mismatch_is_kept_and_credits_nothing(
    bank: httpx.AsyncClient, sessionmaker: SessionMaker, changes: Any, answer: tuple[int, str], event: Any
) -> None:
    on_ramp = await a_pending_on_ramp(sessionmaker, amount=20000)
    name = new_token()
    for _ in range(2):
        assert await deliver(bank, payment_notice(on_ramp, event, **changes), name) == answer
    assert [row.verdict for row in await inbox_of(sessionmaker, name)] == [answer[1]]
    assert (await row_of(sessionmaker, on_ramp)).status == "pending"
    assert await balance_of(sessionmaker, on_ramp) == 0


async def test_one_banks_token_is_not_anothers(bank: httpx.AsyncClient, sessionmaker: SessionMaker) -> None:
    on_ramp = await a_pending_on_ramp(sessionmaker, bank="hdfc")
    assert await deliver(bank, payment_notice(on_ramp, bank="axis")) == (404, "unknown_token")


async def test_what_was_unknown_is_judged_again_when_it_comes_again(
    bank: httpx.AsyncClient, sessionmaker: SessionMaker
) -> None:
    on_ramp = await a_pending_on_ramp(sessionmaker, is_opened=False)
    name, token = new_token(), new_token()
    early = payment_notice(replace_token(on_ramp, token))
    assert await deliver(bank, early, name) == (404, "unknown_token")
    async with sessionmaker.begin() as session:
        (await session.get_one(OnRamp, on_ramp.id)).token = token
    assert await deliver(bank, early, name) == (200, "settled")
    assert await deliver(bank, early, name) == (200, "duplicate")
    assert [row.verdict for row in await inbox_of(sessionmaker, name)] == ["settled"]


def replace_token(on_ramp: OnRamp, token: str) -> OnRamp:
    return OnRamp(owner_id=on_ramp.owner_id, amount=on_ramp.amount, bank=on_ramp.bank, token=token)


async def test_a_notice_about_a_payout_we_never_sent_is_not_found(
    bank: httpx.AsyncClient, sessionmaker: SessionMaker
) -> None:
    name = new_token()
    notice = PayoutNotice("hdfc", "success", str(new_id()), "UTR9", 100, None)
    assert await deliver(bank, notice, name) == (404, "unknown_reference")
    assert await deliver(bank, replace(notice, reference="not-an-id")) == (404, "unknown_reference")
    assert [row.verdict for row in await inbox_of(sessionmaker, name)] == ["unknown_reference"]


async def test_money_the_ledger_cannot_place_is_asked_for_again_and_not_lost(
    bank: httpx.AsyncClient, sessionmaker: SessionMaker
) -> None:
    on_ramp = await a_pending_on_ramp(sessionmaker)
    name = new_token()
    await close_account(sessionmaker, on_ramp, clock.now())
    assert await deliver(bank, payment_notice(on_ramp), name) == (503, "not_committed")
    assert await inbox_of(sessionmaker, name) == []
    await close_account(sessionmaker, on_ramp, None)
    assert await deliver(bank, payment_notice(on_ramp), name) == (200, "settled")


async def close_account(sessionmaker: SessionMaker, on_ramp: OnRamp, closed_at: datetime | None) -> None:
    async with sessionmaker.begin() as session:
        (await session.get_one(Account, on_ramp.account_id)).closed_at = closed_at


@pytest.mark.parametrize("code", BANKS)
async def test_half_a_character_in_a_field_that_we_do_not_know_costs_no_money(
    bank: httpx.AsyncClient, sessionmaker: SessionMaker, code: str
) -> None:
    on_ramp = await a_pending_on_ramp(sessionmaker, bank=code, amount=12345)
    body = BANKS[code].encode(payment_notice(on_ramp))[:-1] + b', "remark": "cut \\ud83d", "\\udc00": {}}'
    headers = sign(SECRETS[code], f"msg_{new_token()}", clock.now(), body) | {"content-type": "application/json"}
    answers = [await bank.post(f"/webhooks/{code}", content=body, headers=headers) for _ in range(2)]
    assert [answer.json() for answer in answers] == [{"verdict": "settled"}, {"verdict": "duplicate"}]
    assert await balance_of(sessionmaker, on_ramp) == 12345
