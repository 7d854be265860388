"""Answers that are written without a model are what the model of their route would write, byte for byte."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import update

from shared import clock
from shared.http.on_ramps import OnRampOut
from shared.http.pagination import Page
from shared.http.withdrawals import WithdrawalOut, WithdrawalWithTimelineOut
from shared.ids import new_id
from shared.models import Account, OnRamp
from shared.models.withdrawal import WithdrawalStatus
from shared.withdrawals import timeline
from shared.withdrawals.events import EventKind
from tests.support.apps import PIN, RunningApp, Signed, problem
from tests.support.bank_flows import create_on_ramp, create_withdrawal


def rewritten(model: type[BaseModel], content: bytes) -> bytes:
    return model.model_validate_json(content).model_dump_json().encode()


async def wallet_row(app: RunningApp, who: Signed) -> Account:
    async with app.sessionmaker() as session:
        return await session.get_one(Account, (await who.wallet())["account_id"])


async def pages(who: Signed, path: str, limit: int) -> list[tuple[bytes, list[dict[str, Any]]]]:
    found, cursor = [], ""
    while True:
        answer = await who.get(path, limit=limit, **({"cursor": cursor} if cursor else {}))
        assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
        found.append((answer.content, answer.json()["items"]))
        cursor = answer.json()["next_cursor"]
        if not cursor:
            return found


async def test_on_ramps(user_app: RunningApp, asha: Signed, ravi: Signed) -> None:
    wallet = await wallet_row(user_app, asha)
    async with user_app.sessionmaker.begin() as session:
        for status in ("success", "failure", "pending", "success", "pending"):
            made = await create_on_ramp(session, wallet, 5_00, status=status)
            values = {"redirect_url": "https://bank.example/?a=<é>", "created_at": clock.now().replace(microsecond=0)}
            await session.execute(update(OnRamp).where(OnRamp.id == made.id).values(values))
    found = await pages(asha, "/on-ramps", 2)
    assert [len(items) for _, items in found] == [2, 2, 1]
    for content, items in found:
        assert content == rewritten(Page[OnRampOut], content)
        for item in items:
            one = await asha.get(f"/on-ramps/{item['id']}")
            assert one.json() == item
            assert one.content == rewritten(OnRampOut, one.content)
            problem(await ravi.get(f"/on-ramps/{item['id']}"), 404, "on_ramp_not_found")
    assert (await ravi.get("/on-ramps")).content == b'{"items":[],"next_cursor":null}'


async def test_withdrawals(user_app: RunningApp, asha: Signed, ravi: Signed) -> None:
    wallet = await wallet_row(user_app, asha)
    async with user_app.sessionmaker.begin() as session:
        for status in ("succeeded", "unknown", "queued", "queued"):
            made = await create_withdrawal(session, wallet, 5_00, status=status)
            await timeline.append(
                session,
                made.id,
                status=WithdrawalStatus(status),
                kind=EventKind.BANK_DOWN,
                facts={"reason": "“down”", "attempt": 2, "next_check_at": clock.now()},
            )
    found = await pages(asha, "/withdrawals", 3)
    assert [item["position"] for _, items in found for item in items] == [3, 2, 1, None]
    for content, items in found:
        assert content == rewritten(Page[WithdrawalOut], content)
        for item in items:
            one = await asha.get(f"/withdrawals/{item['id']}")
            assert one.content == rewritten(WithdrawalWithTimelineOut, one.content)
            assert {**item, "timeline": one.json()["timeline"]} == one.json()
            assert len(one.json()["timeline"]) == 1
            problem(await ravi.get(f"/withdrawals/{item['id']}"), 404, "withdrawal_not_found")
    assert (await ravi.get("/withdrawals")).content == b'{"items":[],"next_cursor":null}'


@pytest.mark.parametrize("path", ["/on-ramps", "/withdrawals", "/transactions?direction=DEBIT"])
async def test_a_session_that_was_revoked_a_moment_ago_reads_nothing(
    user_app: RunningApp, asha: Signed, path: str
) -> None:
    again = Signed(asha.client, asha.profile, user_app.app.state.resources.tokens.issue(asha.id).token)
    assert (await again.get(path)).status_code == 200
    assert (await again.post("/auth/logout", key=None)).status_code == 204
    problem(await again.get(path), 401, "token_revoked")
    for unknown in ("/on-ramps", "/withdrawals"):
        problem(await again.get(f"{unknown}/{new_id()}"), 401, "token_revoked")


async def test_a_withdrawal_is_read_by_all_who_ask_while_it_is_cancelled(user_app: RunningApp) -> None:
    person = await user_app.person(balance=100_00)
    body: dict[str, Any] = {
        "bank": "hdfc",
        "account_number": "123456781234",
        "ifsc": "HDFC0000001",
        "account_holder": "Asha Rao",
    }
    made = await person.post("/withdrawals", **body, amount=5_00, pin=PIN)
    assert made.status_code == 202, made.text
    path = f"/withdrawals/{made.json()['id']}"
    cancelled, *read = await asyncio.gather(
        person.post(f"{path}/cancel", key=None), *[person.get(path) for _ in range(20)]
    )
    assert cancelled.content == rewritten(WithdrawalWithTimelineOut, cancelled.content)
    assert {answer.json()["status"] for answer in read} <= {"queued", "cancelled"}
    assert (await person.get(path)).content == cancelled.content
