"""`/withdrawals`: what a caller sees before any worker has looked."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest
from redis.asyncio import Redis
from sqlalchemy import update

from shared.models import Withdrawal
from tests.support.apps import PIN, RunningApp, Signed, problem

ACCOUNT: dict[str, Any] = {
    "bank": "hdfc",
    "account_number": "123456781234",
    "ifsc": "HDFC0000001",
    "account_holder": "Asha Rao",
}


async def withdraw(who: Signed, amount: int, *, key: str = "", **more: Any) -> httpx.Response:
    return await who.post("/withdrawals", key=key, **{**ACCOUNT, "amount": amount, "pin": PIN, **more})


async def test_a_withdrawal_is_queued_and_its_money_held(asha: Signed) -> None:
    answer = await withdraw(asha, 100_00)
    assert answer.status_code == 202, answer.text
    shown = answer.json()
    expected = {
        "status": "queued",
        "bank": "hdfc",
        "account_number": "XXXXXX1234",
        "ifsc": "HDFC0000001",
        "account_holder": "Asha Rao",
        "amount": 100_00,
        "currency": "INR",
        "position": 1,
        "waiting_for": "worker",
        "utr": None,
        "failure_reason": None,
        "finished_at": None,
    }
    assert {name: shown[name] for name in expected} == expected
    assert "123456781234" not in answer.text

    wallet = await asha.wallet()
    assert (wallet["balance"], wallet["held"], wallet["available"]) == (1000_00, 100_00, 900_00)
    whole = (await asha.get(f"/withdrawals/{shown['id']}")).json()
    assert [step["kind"] for step in whole.pop("timeline")] == ["queued"]
    assert whole == shown


async def test_withdrawals_are_listed_newest_first_with_their_places_in_the_queue(asha: Signed) -> None:
    made = [(await withdraw(asha, 100_00 + n)).json() for n in range(3)]
    assert [each["position"] for each in made] == [1, 2, 3]
    assert [each["waiting_for"] for each in made] == ["worker", "earlier_withdrawal", "earlier_withdrawal"]
    first = (await asha.get("/withdrawals", limit=2)).json()
    second = (await asha.get("/withdrawals", limit=2, cursor=first["next_cursor"])).json()
    assert first["items"] + second["items"] == made[::-1]
    assert second["next_cursor"] is None


async def test_one_in_the_queue_can_be_taken_back_and_one_sent_cannot(user_app: RunningApp, asha: Signed) -> None:
    first, second = [(await withdraw(asha, 100_00)).json()["id"] for _ in range(2)]
    cancelled = await asha.post(f"/withdrawals/{second}/cancel", key=None)
    assert cancelled.status_code == 200
    assert cancelled.json()["status"] == "cancelled"
    assert [step["kind"] for step in cancelled.json()["timeline"]] == ["queued", "cancelled"]
    assert (await asha.wallet())["held"] == 100_00

    async with user_app.sessionmaker.begin() as session:
        await session.execute(
            update(Withdrawal)
            .where(Withdrawal.owner_id == asha.id, Withdrawal.status == "queued")
            .values(status="unknown")
        )
    problem(await asha.post(f"/withdrawals/{first}/cancel", key=None), 409, "already_sent")
    assert (await asha.wallet())["held"] == 100_00


async def test_withdrawals_of_others_are_not_there(asha: Signed, ravi: Signed) -> None:
    hers = (await withdraw(asha, 100_00)).json()["id"]
    for withdrawal_id in (hers, str(uuid4())):
        problem(await ravi.get(f"/withdrawals/{withdrawal_id}"), 404, "withdrawal_not_found")
        problem(await ravi.post(f"/withdrawals/{withdrawal_id}/cancel", key=None), 404, "withdrawal_not_found")
    assert (await ravi.get("/withdrawals")).json()["items"] == []
    assert (await asha.get(f"/withdrawals/{hers}")).json()["status"] == "queued"


@pytest.mark.parametrize("is_wiped", [False, True], ids=["redis remembers", "redis forgot"])
async def test_a_repeated_key_holds_the_money_once(asha: Signed, redis: Redis, is_wiped: bool) -> None:
    first = await withdraw(asha, 600_00, key="once")
    if is_wiped:
        await redis.flushdb()
    again = await withdraw(asha, 600_00, key="once")
    assert (again.status_code, again.json()) == (202, first.json())
    assert again.headers["idempotent-replayed"] == "true"
    reused = problem(await withdraw(asha, 1, key="once", ifsc="HDFC0000002"), 422, "idempotency_key_reused")
    assert [error["field"] for error in reused["errors"]] == ["amount", "ifsc"]
    assert (await asha.wallet())["held"] == 600_00


async def test_a_refusal_holds_nothing_and_frees_the_key(asha: Signed) -> None:
    problem(await withdraw(asha, 1000_01, key="later"), 402, "insufficient_funds")
    problem(await withdraw(asha, 1_00, bank="icici"), 422, "withdrawal_invalid")
    problem(await withdraw(asha, 1_00, pin="0000"), 403, "pin_incorrect")
    problem(await asha.post("/withdrawals", key=None, **ACCOUNT, amount=1, pin=PIN), 400, "idempotency_key_missing")
    assert (await asha.wallet())["held"] == 0
    assert (await withdraw(asha, 1000_00, key="later")).status_code == 202


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("account_number", "12345"),
        ("account_number", "1" * 19),
        ("account_number", "12345678\n"),
        ("account_number", "१२३४५६७८"),
        ("ifsc", "hdfc0000001"),
        ("ifsc", "HDFC1000001"),
        ("account_holder", " "),
        ("account_holder", "x" * 101),
        ("amount", 0),
        ("amount", "100"),
        ("bank", ""),
        ("iban", "DE00"),
    ],
)
async def test_a_wrong_field_is_named_and_its_value_is_not_repeated(asha: Signed, field: str, value: Any) -> None:
    answer = await asha.post("/withdrawals", **{**ACCOUNT, "amount": 1_00, "pin": PIN, field: value})
    assert [error["field"] for error in problem(answer, 422, "invalid_request")["errors"]] == [field]
    assert field == "amount" or len(str(value)) < 4 or str(value) not in answer.text


async def test_the_branch_must_be_one_of_the_bank(asha: Signed) -> None:
    answer = await asha.post("/withdrawals", **{**ACCOUNT, "ifsc": "UTIB0000001", "amount": 1_00, "pin": PIN})
    [error] = problem(answer, 422, "withdrawal_invalid")["errors"]
    assert error["field"] == "ifsc"
    assert "its codes begin with HDFC0" in error["message"]
    assert (await asha.wallet())["held"] == 0


async def test_as_many_at_once_as_can_be_afforded(asha: Signed) -> None:
    answers = await asyncio.gather(*(withdraw(asha, 300_00) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [202] * 3 + [402] * 3
    assert (await asha.wallet())["available"] == 100_00


async def test_the_worker_is_hinted_after_the_commit(user_app: RunningApp, asha: Signed) -> None:
    seen: list[tuple[object, str]] = []

    async def look(owner_id: object) -> None:
        seen.append((owner_id, (await asha.get("/withdrawals")).json()["items"][0]["status"]))

    user_app.app.state.hint_withdrawal = look
    await withdraw(asha, 100_00)
    await withdraw(asha, 5000_00)
    assert seen == [(asha.id, "queued")]
