"""Giving payments back: once, never too much, and only what one received."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis
from sqlalchemy import select

from shared.models import OutboxMessage
from tests.support.apps import PIN, RunningApp, Signed, problem


async def pay(buyer: Signed, shop: Signed, amount: int) -> str:
    answer = await buyer.send(shop.wallet_id, amount, note="chai")
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def refund(shop: Signed, payment_id: str, key: str | None = "", **body: Any) -> httpx.Response:
    return await shop.post(f"/transactions/{payment_id}/refund", key=key, **{"pin": PIN, **body})


async def test_a_part_goes_back_and_the_totals_say_so(asha: Signed, shop: Signed) -> None:
    payment = await pay(asha, shop, 20000)
    first = (await refund(shop, payment, amount=5000, note="one samosa too many")).json()
    assert (first["kind"], first["amount"], first["reverses"]) == ("refund", 5000, payment)
    assert (first["refunded"], first["refundable"], first["balance_after"]) == (5000, 15000, 15000)
    assert (first["from"]["wallet_id"], first["to"]["wallet_id"]) == (shop.wallet_id, asha.wallet_id)
    second = (await refund(shop, payment, amount=1)).json()
    assert (second["refunded"], second["refundable"]) == (5001, 14999)
    assert (await asha.wallet())["balance"] == 1000_00 - 20000 + 5001


async def test_without_an_amount_all_that_is_left_goes_back(asha: Signed, shop: Signed) -> None:
    payment = await pay(asha, shop, 20000)
    await refund(shop, payment, amount=5000)
    rest = await refund(shop, payment)
    assert rest.status_code == 201
    assert (rest.json()["amount"], rest.json()["refundable"]) == (15000, 0)
    assert problem(await refund(shop, payment), 422, "reversal_exceeds_original")["remaining"] == 0


async def test_a_refund_never_exceeds_what_is_left(asha: Signed, shop: Signed) -> None:
    payment = await pay(asha, shop, 20000)
    await pay(asha, shop, 20000)
    await refund(shop, payment, amount=15000)
    assert problem(await refund(shop, payment, amount=5001), 422, "reversal_exceeds_original")["remaining"] == 5000


async def test_a_refund_never_exceeds_the_shops_available_money(asha: Signed, shop: Signed) -> None:
    payment = await pay(asha, shop, 20000)
    bank: dict[str, Any] = {
        "bank": "hdfc",
        "account_number": "123456781234",
        "ifsc": "HDFC0000001",
        "account_holder": "Chai Point",
    }
    assert (await shop.post("/withdrawals", **bank, amount=15000, pin=PIN)).status_code == 202
    assert problem(await refund(shop, payment), 402, "insufficient_funds")["available"] == 5000
    assert (await refund(shop, payment, amount=5000)).status_code == 201


async def test_both_statements_name_the_other_and_the_payment_says_what_is_left(asha: Signed, shop: Signed) -> None:
    payment = await pay(asha, shop, 20000)
    given = (await refund(shop, payment, amount=5000)).json()
    theirs, ours = [(await side.get("/transactions")).json()["items"] for side in (asha, shop)]
    assert (theirs[0]["id"], theirs[0]["direction"], theirs[0]["counterparty"]["name"]) == (
        given["id"],
        "CREDIT",
        "Chai Point",
    )
    assert (ours[0]["direction"], ours[0]["counterparty"]["name"]) == ("DEBIT", "Asha Rao")
    assert [line.get("refundable") for line in ours] == [None, 15000]
    assert not any("refundable" in line for line in theirs)


async def test_the_buyer_gets_mail(asha: Signed, shop: Signed, merchant_app: RunningApp) -> None:
    given = (await refund(shop, await pay(asha, shop, 20000), amount=5000)).json()
    async with merchant_app.sessionmaker() as session:
        mail = await session.scalars(select(OutboxMessage).where(OutboxMessage.owner_id == asha.id))
        facts = [each.facts for each in mail if each.kind == "money_received"]
    assert [(fact["transfer_id"], fact["amount"], fact["from_name"]) for fact in facts] == [
        (given["id"], 5000, "Chai Point")
    ]


async def test_only_received_payments_are_refunded(asha: Signed, shop: Signed, merchant_app: RunningApp) -> None:
    payment = await pay(asha, shop, 20000)
    other = await merchant_app.shop("Dosa Corner", balance=50000)
    problem(await refund(other, payment), 404, "transfer_not_found")
    problem(await refund(shop, "0199f0c2-6f2c-7a55-9c07-2f6a4f6d1f10"), 404, "transfer_not_found")
    given = (await refund(shop, payment, amount=1)).json()["id"]
    assert problem(await refund(shop, given), 422, "not_refundable")["kind"] == "refund"
    funded = (await other.get("/transactions")).json()["items"][0]["id"]
    problem(await refund(other, funded), 422, "not_refundable")


async def test_the_pin_is_checked_first(asha: Signed, shop: Signed) -> None:
    payment = await pay(asha, shop, 20000)
    problem(await refund(shop, payment, pin="0000"), 403, "pin_incorrect")
    problem(await refund(shop, payment, pin=None), 422, "invalid_request")
    problem(await refund(shop, payment, key=None), 400, "idempotency_key_missing")
    assert (await shop.wallet())["balance"] == 20000


async def test_a_repeated_request_gives_back_once_even_after_redis_was_wiped(
    asha: Signed, shop: Signed, redis: Redis
) -> None:
    payment = await pay(asha, shop, 20000)
    first = await refund(shop, payment, key="once")
    again = await refund(shop, payment, key="once")
    await redis.flushdb()
    after_wipe = await refund(shop, payment, key="once")
    assert first.json() == again.json() == after_wipe.json()
    assert after_wipe.headers["idempotent-replayed"] == "true"
    reused = problem(await refund(shop, payment, key="once", amount=1), 422, "idempotency_key_reused")
    assert [error["field"] for error in reused["errors"]] == ["amount"]


@pytest.mark.parametrize("is_partial", [True, False])
async def test_twenty_refunds_at_once_never_exceed_the_payment(asha: Signed, shop: Signed, is_partial: bool) -> None:
    payment = await pay(asha, shop, 20000)
    await pay(asha, shop, 50000)
    asked: dict[str, Any] = {"amount": 3000} if is_partial else {}
    answers = await asyncio.gather(*[refund(shop, payment, **asked) for _ in range(20)])
    done = 6 if is_partial else 1
    assert Counter(answer.status_code for answer in answers) == {201: done, 422: 20 - done}
    refunded = sorted(answer.json()["refunded"] for answer in answers if answer.status_code == 201)
    assert refunded == ([3000 * number for number in range(1, 7)] if is_partial else [20000])
    assert (await shop.wallet())["balance"] == 70000 - refunded[-1]
