"""What one owner may do in a time. A request that was answered before is answered again, whatever the quota."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from prometheus_client import REGISTRY
from redis.asyncio import Redis

from shared import clock
from shared.owner_quotas import OwnerQuotas
from shared.quotas import sharing
from shared.quotas.counts import Quota
from tests.support.apps import PIN, RunningApp, Signed, problem, running, user_app_settings
from tests.support.browsing import Browser

QUOTAS = OwnerQuotas(
    keys_per_day=6,
    bulk_per_day=3,
    small_transfers_per_day=4,
    open_pots=1,
    withdrawals_per_ten_seconds=2,
    people_searches_per_minute=2,
    people_searches_per_day=3,
)

WITHDRAWAL: dict[str, Any] = {
    "bank": "hdfc",
    "account_number": "50100012345678",
    "ifsc": "HDFC0000001",
    "account_holder": "Asha Rao",
    "amount": 1_00,
    "pin": PIN,
}


def hits() -> float:
    """How many limits and quotas were hit, as the audit trail is told."""
    return REGISTRY.get_sample_value("batua_audit_events_total", {"kind": "limit_hit"}) or 0


def room(quota: Quota, owner: Signed) -> int:
    """How many places are free."""
    places = []
    while (place := quota.take(owner.id)) is not None:
        places.append(place)
    for place in places:
        place.give_back()
    return len(places)


@pytest.fixture
async def user_app(
    database_url: str, redis_url: str, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[RunningApp]:
    """It shares no counts: Redis lets them expire by a clock of its own, which a test does not set."""
    monkeypatch.setattr(sharing, "SHARE_SECONDS", 3600)
    async with running(user_app_settings(database_url, redis_url, quotas=QUOTAS)) as app:
        yield app


@pytest.fixture
async def asha(user_app: RunningApp) -> Signed:
    return await user_app.person("Asha", balance=1_000_00)


@pytest.fixture
async def ravi(user_app: RunningApp) -> Signed:
    return await user_app.person("Ravi", balance=1_000_00)


async def test_new_keys_are_bounded_and_old_ones_still_answered(asha: Signed, ravi: Signed) -> None:
    first = await asha.send(ravi.wallet_id, 1_00, key="first")
    for _ in range(5):
        assert (await asha.send(ravi.wallet_id, 1_00)).status_code == 201
    refused = await asha.send(ravi.wallet_id, 1_00)
    assert problem(refused, 429, "too_many_keys")["limit"] == 6
    assert 1 <= int(refused.headers["Retry-After"]) <= 24 * 3600
    again = await asha.send(ravi.wallet_id, 1_00, key="first")
    assert (again.status_code, again.json(), again.headers["Idempotent-Replayed"]) == (201, first.json(), "true")
    problem(await asha.send(ravi.wallet_id, 2_00, key="first"), 422, "idempotency_key_reused")
    assert (await ravi.send(asha.wallet_id, 1_00)).status_code == 201
    assert (await asha.wallet())["balance"] == 1_000_00 - 5_00


async def test_very_small_transfers_to_others_are_bounded(asha: Signed, ravi: Signed) -> None:
    pot = (await asha.post("/accounts", name="Goa trip")).json()["id"]
    problem(await asha.post("/accounts", name="Another"), 409, "too_many_pots")
    for to in (ravi.wallet_id, ravi.wallet_id, pot):
        assert (await asha.send(to, 99)).status_code == 201
    items = [{"to": ravi.wallet_id, "amount": amount} for amount in (1, 1, 1, 100)]
    bulk = await asha.post("/transfers/bulk", items=items, pin=PIN)
    assert [item["status"] for item in bulk.json()["results"]] == [201, 201, 429, 201]
    assert bulk.json()["results"][2]["problem"]["code"] == "too_many_small_transfers"
    problem(await asha.send(ravi.wallet_id, 99), 429, "too_many_small_transfers")
    assert (await asha.send(pot, 99)).status_code == 201


async def test_small_transfers_at_the_same_time_do_not_pass_the_quota_together(asha: Signed, ravi: Signed) -> None:
    items = [{"to": ravi.wallet_id, "amount": 1}] * 3
    singles = (asha.send(ravi.wallet_id, 1) for _ in range(4))
    bulk, *answers = await asyncio.gather(asha.post("/transfers/bulk", items=items, pin=PIN), *singles)
    statuses = [item["status"] for item in bulk.json()["results"]] + [answer.status_code for answer in answers]
    assert sorted(statuses) == [201] * 4 + [429] * 3
    assert (await ravi.wallet())["balance"] == 1_000_00 + 4


async def test_small_transfers_that_are_refused_do_not_count(user_app: RunningApp, asha: Signed, ravi: Signed) -> None:
    poor = await user_app.person("Meera", balance=2)
    items = [{"to": ravi.wallet_id, "amount": 1}] * 3
    everything = await poor.post("/transfers/bulk", items=items, pin=PIN, all_or_nothing=True)
    assert {item["status"] for item in everything.json()["results"]} == {402, 409}
    for _ in range(5):
        problem(await poor.send(ravi.wallet_id, 3), 402, "insufficient_funds")
    some = await poor.post("/transfers/bulk", items=items, pin=PIN)
    assert [item["status"] for item in some.json()["results"]] == [201, 201, 402]
    await asha.send(poor.wallet_id, 1_00)
    for _ in range(2):
        assert (await poor.send(ravi.wallet_id, 1)).status_code == 201
    problem(await poor.send(ravi.wallet_id, 1), 429, "too_many_small_transfers")


async def test_a_repeat_is_no_hit_of_a_quota_that_is_used_up(asha: Signed, ravi: Signed) -> None:
    items = [{"to": ravi.wallet_id, "amount": 1}] * 4
    moment = clock.now()
    with clock.reading(lambda: moment):
        first = await asha.post("/transfers/bulk", key="coins", items=items, pin=PIN)
        withdrawn = await asha.post("/withdrawals", key="cash", **WITHDRAWAL)
        assert (await asha.post("/withdrawals", **WITHDRAWAL)).status_code == 202
        before = hits()
        for _ in range(3):
            again = await asha.post("/transfers/bulk", key="coins", items=items, pin=PIN)
            assert (again.json(), again.headers["Idempotent-Replayed"]) == (first.json(), "true")
            again = await asha.post("/withdrawals", key="cash", **WITHDRAWAL)
            assert (again.json()["id"], again.headers["Idempotent-Replayed"]) == (withdrawn.json()["id"], "true")
        assert hits() == before
        problem(await asha.send(ravi.wallet_id, 1), 429, "too_many_small_transfers")
        problem(await asha.post("/withdrawals", **WITHDRAWAL), 429, "too_frequent_withdrawals")
        assert hits() == before + 2


async def test_bulk_requests_are_bounded(asha: Signed, ravi: Signed) -> None:
    items = [{"to": ravi.wallet_id, "amount": 1_00}]
    first = await asha.post("/transfers/bulk", key="payday", items=items, pin=PIN)
    for _ in range(2):
        assert (await asha.post("/transfers/bulk", items=items, pin=PIN)).status_code == 200
    refused = await asha.post("/transfers/bulk", items=items, pin=PIN)
    problem(refused, 429, "too_many_bulk_requests")
    assert 1 <= int(refused.headers["Retry-After"]) <= 24 * 3600
    again = await asha.post("/transfers/bulk", key="payday", items=items, pin=PIN)
    assert again.json() == first.json()


async def test_withdrawals_are_bounded_and_a_repeat_is_still_answered(asha: Signed) -> None:
    moment = clock.now()
    with clock.reading(lambda: moment):
        first = await asha.post("/withdrawals", key="first", **WITHDRAWAL)
        assert (await asha.post("/withdrawals", **WITHDRAWAL)).status_code == first.status_code == 202
        refused = await asha.post("/withdrawals", **WITHDRAWAL)
        assert problem(refused, 429, "too_frequent_withdrawals")["limit"] == 2
        assert refused.headers["Retry-After"] == "5"
        again = await asha.post("/withdrawals", key="first", **WITHDRAWAL)
        assert (again.json()["id"], again.headers["Idempotent-Replayed"]) == (first.json()["id"], "true")
        assert (await asha.wallet())["held"] == 2_00
    with clock.reading(lambda: moment + timedelta(seconds=5)):
        assert (await asha.post("/withdrawals", **WITHDRAWAL)).status_code == 202
        problem(await asha.post("/withdrawals", **WITHDRAWAL), 429, "too_frequent_withdrawals")


async def test_no_border_lets_twice_as_many_withdrawals_pass(asha: Signed) -> None:
    border = clock.now().timestamp() // 10 * 10 + 10
    for seconds, status in ((-0.1, 202), (0.1, 429), (10.1, 202)):
        with clock.reading(partial(datetime.fromtimestamp, border + seconds, UTC)):
            answers = [await asha.post("/withdrawals", **WITHDRAWAL) for _ in range(2)]
            assert [answer.status_code for answer in answers] == [status] * 2


async def test_refused_withdrawals_count_a_quarter(asha: Signed) -> None:
    moment, short = clock.now(), WITHDRAWAL | {"amount": 5_000_00}
    with clock.reading(lambda: moment):
        for _ in range(3):
            problem(await asha.post("/withdrawals", **short), 402, "insufficient_funds")
        assert (await asha.post("/withdrawals", **WITHDRAWAL)).status_code == 202
        refused = await asha.post("/withdrawals", **short)
        assert problem(refused, 429, "too_frequent_withdrawals")["limit"] == 2
        assert refused.headers["Retry-After"] == "4"
    with clock.reading(lambda: moment + timedelta(seconds=4)):
        problem(await asha.post("/withdrawals", **short), 402, "insufficient_funds")


async def test_bulk_requests_that_are_refused_as_a_whole_count_a_quarter(user_app: RunningApp, asha: Signed) -> None:
    moment, minute = clock.now(), user_app.app.state.resources.quotas.bulk_per_minute
    with clock.reading(lambda: moment):
        first = await asha.post("/transfers/bulk", key="payday", items=[{"to": "ravi@batua", "amount": 1_00}], pin=PIN)
        assert first.status_code == 200
        for amount in range(1, 17):
            items = [{"to": "ravi@batua", "amount": amount}]
            problem(
                await asha.post("/transfers/bulk", key="payday", items=items, pin=PIN), 422, "idempotency_key_reused"
            )
        assert room(minute, asha) == OwnerQuotas().bulk_per_minute - 1 - 4


async def test_withdrawals_at_the_same_time_do_not_pass_the_quota_together(asha: Signed) -> None:
    moment = clock.now()
    with clock.reading(lambda: moment):
        answers = await asyncio.gather(*(asha.post("/withdrawals", **WITHDRAWAL) for _ in range(6)))
        assert sorted(answer.status_code for answer in answers) == [202, 202, 429, 429, 429, 429]
        assert (await asha.wallet())["held"] == 2_00


async def test_the_page_of_one_withdrawal_too_many_says_so_and_keeps_what_was_typed(asha: Signed) -> None:
    browser, moment = Browser(asha), clock.now()
    typed = {name: WITHDRAWAL[name] for name in ("bank", "account_number", "ifsc", "account_holder")}
    typed |= {"account_number_again": typed["account_number"], "again": "", "amount": "1"}
    with clock.reading(lambda: moment):
        for number in range(3):
            form = (await browser.open("/withdraw")).form("/withdraw")
            review = (await browser.submit(form, **typed)).form("/withdraw/review")
            answer = await browser.submit(review, pin=PIN)
            assert ("Too many withdrawals in a few seconds" in answer.text) == (number == 2)
    assert (await asha.wallet())["held"] == 2_00
    with clock.reading(lambda: moment + timedelta(seconds=10)):
        await browser.submit(answer.form("/withdraw/review"), pin=PIN)
    assert (await asha.wallet())["held"] == 3_00


async def test_bulk_requests_at_the_same_time_do_not_pass_the_quota_together(asha: Signed, ravi: Signed) -> None:
    items = [{"to": ravi.wallet_id, "amount": 1_00}]
    asked = (asha.post("/transfers/bulk", items=items, pin=PIN) for _ in range(4))
    answers = await asyncio.gather(*asked)
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 429]
    assert (await ravi.wallet())["balance"] == 1_000_00 + 3_00


async def test_searches_for_people_are_bounded(asha: Signed) -> None:
    problem(await asha.get("/users", filter="ra"), 422, "filter_too_short")  # it finds no one, and does not count
    for _ in range(2):
        assert (await asha.get("/users", filter="ravi")).status_code == 200
    refused = await asha.get("/users", filter="ravi")
    assert problem(refused, 429, "too_many_searches")["limit"] == 2
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
