"""Many transfers in one request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis
from sqlalchemy import event, func, select

from shared.config import MovementLimits
from shared.models import OutboxMessage
from tests.support.apps import PIN, RunningApp, Signed, problem, running, user_app_settings


@pytest.fixture
async def user_app(database_url: str, redis_url: str, redis: Redis) -> AsyncIterator[RunningApp]:
    limits = MovementLimits(transfer_per_day_paise=900_00)
    async with running(user_app_settings(database_url, redis_url, limits=limits)) as app:
        yield app


async def send_many(owner: Signed, *items: tuple[str, int], key: str | None = "", **more: Any) -> httpx.Response:
    listed = [{"to": to, "amount": amount} for to, amount in items]
    return await owner.post("/transfers/bulk", key=key, **{"items": listed, "pin": PIN, **more})


def statuses(answer: httpx.Response) -> list[int]:
    assert answer.status_code == 200, answer.text
    results = answer.json()["results"]
    assert [result["index"] for result in results] == list(range(len(results)))
    assert all(("transfer" in result) == (result["status"] == 201) != ("problem" in result) for result in results)
    return [result["status"] for result in results]


async def test_each_item_has_its_own_result_and_a_refused_one_stops_no_other(
    asha: Signed, ravi: Signed, shop: Signed
) -> None:
    pot = (await asha.post("/accounts", key=None, name="Goa")).json()["id"]
    answer = await send_many(
        asha, (ravi.wallet_id, 100_00), ("nobody@batua", 1), (shop.wallet_id, 950_00), (pot, 50_00), (shop.wallet_id, 1)
    )
    assert statuses(answer) == [201, 404, 422, 201, 201]
    results = answer.json()["results"]
    assert [result["transfer"]["kind"] for result in results if "transfer" in result] == ["p2p", "p2p", "payment"]
    assert results[0]["transfer"]["balance_after"] == 900_00
    assert [results[index]["problem"]["code"] for index in (1, 2)] == ["recipient_not_found", "limit_exceeded"]
    assert results[0]["transfer"] == (await asha.get(f"/transfers/{results[0]['transfer']['id']}")).json()


async def test_items_see_those_before_them(asha: Signed, ravi: Signed) -> None:
    answer = await send_many(asha, (ravi.wallet_id, 500_00), (ravi.wallet_id, 400_00), (ravi.wallet_id, 1))
    assert statuses(answer) == [201, 201, 422]
    assert answer.json()["results"][2]["problem"]["used"] == 900_00
    assert (await ravi.wallet())["balance"] == 900_00


@pytest.mark.parametrize("refused", [("nobody@batua", 1), ("ravi", 800_01)])
async def test_all_or_nothing_sends_nothing_and_says_why(asha: Signed, ravi: Signed, refused: tuple[str, int]) -> None:
    to = ravi.wallet_id if refused[0] == "ravi" else refused[0]
    items = [(ravi.wallet_id, 100_00), (to, refused[1]), (ravi.wallet_id, 1)]
    answer = await send_many(asha, *items, all_or_nothing=True)
    assert 201 not in statuses(answer)
    codes = [result["problem"]["code"] for result in answer.json()["results"]]
    assert (codes[0], codes[2]) == ("another_refused", "another_refused")
    assert codes[1] in {"recipient_not_found", "limit_exceeded"}
    assert ((await asha.wallet())["balance"], (await ravi.wallet())["balance"]) == (1000_00, 0)
    assert (await asha.get("/limits")).json()["transfer"]["used"] == 0
    assert statuses(await send_many(asha, items[0], items[2], all_or_nothing=True)) == [201, 201]


async def test_a_repeated_request_sends_once_even_after_redis_was_wiped(
    asha: Signed, ravi: Signed, redis: Redis
) -> None:
    items = [(ravi.wallet_id, 100), ("nobody@batua", 1)]
    first = await send_many(asha, *items, key="payday")
    await redis.flushdb()
    again = await send_many(asha, *items, key="payday")
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"
    problem(await send_many(asha, items[0], key="payday"), 422, "idempotency_key_reused")
    copies = await asyncio.gather(*[send_many(asha, *items, key="rent") for _ in range(10)])
    assert {copy.status_code for copy in copies} <= {200, 409}
    assert (await ravi.wallet())["balance"] == 200


async def test_recipients_get_mail_and_own_pots_do_not(asha: Signed, ravi: Signed, user_app: RunningApp) -> None:
    pot = (await asha.post("/accounts", key=None, name="Goa")).json()["id"]
    await send_many(asha, (ravi.wallet_id, 1), (ravi.wallet_id, 2), (pot, 3))
    counted = select(func.count()).where(OutboxMessage.kind == "money_received")
    async with user_app.sessionmaker() as session:
        for owner, expected in ((ravi, 2), (asha, 0)):
            assert await session.scalar(counted.where(OutboxMessage.owner_id == owner.id)) == expected


@contextmanager
def statements(app: RunningApp) -> Iterator[list[str]]:
    """Everything that requests execute meanwhile. The audit trail is written in the background."""
    seen: list[str] = []
    engine = app.app.state.resources.engine.sync_engine

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        if "audit_events" not in statement:
            seen.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


async def test_a_thousand_cost_as_many_statements_as_two(user_app: RunningApp, asha: Signed, ravi: Signed) -> None:
    with statements(user_app) as few:
        assert statuses(await send_many(asha, *[(ravi.wallet_id, 1)] * 2)) == [201] * 2
    with statements(user_app) as many:
        answer = await asha.post(
            "/transfers/bulk",
            items=[{"to": ravi.wallet_id, "amount": 1, "note": "\U0001f35b" * 200} for _ in range(1000)],
            pin=PIN,
        )
        assert statuses(answer) == [201] * 1000
    assert len(many) == len(few)
    assert (await ravi.wallet())["balance"] == 1002


async def test_what_is_not_a_bulk_is_refused(asha: Signed, ravi: Signed) -> None:
    item = (ravi.wallet_id, 1)
    problem(await send_many(asha), 422, "invalid_request")
    problem(await send_many(asha, *[item] * 1001), 422, "invalid_request")
    problem(await send_many(asha, (ravi.wallet_id, 0)), 422, "invalid_request")
    problem(await send_many(asha, item, pin="0000"), 403, "pin_incorrect")
    problem(await send_many(asha, item, key=None), 400, "idempotency_key_missing")
    huge = await asha.post("/transfers/bulk", items=[{"to": "x" * 3_200_000, "amount": 1}], pin=PIN)
    problem(huge, 413, "body_too_large")
    assert (await ravi.wallet())["balance"] == 0
    assert (await asha.get("/transfers/bulk")).status_code == 405
