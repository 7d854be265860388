"""`/on-ramps` and `/banks`, with simulated banks behind them."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import uuid4

import httpx
from redis.asyncio import Redis

from tests.support.apps import RunningApp, Signed, problem
from tests.support.bank_settings import BANK_API_KEY


async def misbehave(bank_url: str, bank: str, **faults: Any) -> None:
    async with httpx.AsyncClient(trust_env=False, headers={"X-Api-Key": BANK_API_KEY}) as client:
        (await client.put(f"{bank_url}/{bank}/api/faults", json=faults)).raise_for_status()


async def test_an_on_ramp_answers_where_to_go_and_credits_nothing_yet(banked_app: RunningApp, bank_url: str) -> None:
    asha = await banked_app.person()
    answer = await asha.post("/on-ramps", bank="hdfc", amount=2000_00)
    assert answer.status_code == 201, answer.text
    on_ramp = answer.json()
    assert on_ramp["redirect_url"].startswith(bank_url)
    assert datetime.fromisoformat(on_ramp["created_at"]).utcoffset() is not None
    assert {name: on_ramp[name] for name in ("status", "bank", "amount", "currency", "transfer_id", "settled_at")} == {
        "status": "pending",
        "bank": "hdfc",
        "amount": 2000_00,
        "currency": "INR",
        "transfer_id": None,
        "settled_at": None,
    }
    assert (await asha.get(f"/on-ramps/{on_ramp['id']}")).json() == on_ramp
    assert (await asha.wallet())["balance"] == 0


async def test_on_ramps_are_listed_newest_first_to_their_owner_alone(banked_app: RunningApp) -> None:
    asha, ravi = await banked_app.person(), await banked_app.person("Ravi")
    started = [(await asha.post("/on-ramps", bank=bank, amount=100)).json() for bank in ("hdfc", "axis", "hdfc")]
    first = (await asha.get("/on-ramps", limit=2)).json()
    second = (await asha.get("/on-ramps", limit=2, cursor=first["next_cursor"])).json()
    assert first["items"] + second["items"] == started[::-1]
    assert second["next_cursor"] is None

    assert (await ravi.get("/on-ramps")).json() == {"items": [], "next_cursor": None}
    for on_ramp_id in (started[0]["id"], str(uuid4())):
        problem(await ravi.get(f"/on-ramps/{on_ramp_id}"), 404, "on_ramp_not_found")


async def test_a_repeated_key_opens_one_session(banked_app: RunningApp, redis: Redis) -> None:
    asha = await banked_app.person()
    first = await asha.post("/on-ramps", key="once", bank="hdfc", amount=100)
    again = await asha.post("/on-ramps", key="once", bank="hdfc", amount=100)
    await redis.flushdb()
    wiped = await asha.post("/on-ramps", key="once", bank="hdfc", amount=100)
    assert again.json() == wiped.json() == first.json()
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == wiped.headers["idempotent-replayed"] == "true"
    reused = problem(await asha.post("/on-ramps", key="once", bank="axis", amount=100), 422, "idempotency_key_reused")
    assert [error["field"] for error in reused["errors"]] == ["bank"]
    assert len((await asha.get("/on-ramps")).json()["items"]) == 1


async def test_a_bank_that_is_away_leaves_a_failure_and_a_free_key(banked_app: RunningApp, bank_url: str) -> None:
    asha = await banked_app.person()
    await misbehave(bank_url, "hdfc", down=True)
    problem(await asha.post("/on-ramps", key="once", bank="hdfc", amount=100), 502, "bank_unavailable")
    (failed,) = (await asha.get("/on-ramps")).json()["items"]
    assert (failed["status"], failed["redirect_url"]) == ("failure", None)

    await misbehave(bank_url, "hdfc")
    assert (await asha.post("/on-ramps", key="once", bank="hdfc", amount=100)).status_code == 201


async def test_what_cannot_be_added_is_refused(banked_app: RunningApp) -> None:
    asha = await banked_app.person()
    problem(await asha.post("/on-ramps", bank="icici", amount=100), 422, "unknown_bank")
    problem(await asha.post("/on-ramps", key=None, bank="hdfc", amount=100), 400, "idempotency_key_missing")
    for body in (
        {"bank": "hdfc", "amount": 0},
        {"bank": "hdfc"},
        {"bank": "HDFC\n", "amount": 1},
        {"bank": 7, "amount": 1},
    ):
        problem(await asha.post("/on-ramps", **body), 422, "invalid_request")
    assert (await asha.get("/on-ramps")).json()["items"] == []


async def test_banks_are_listed_with_whether_they_are_up(banked_app: RunningApp, bank_url: str) -> None:
    asha = await banked_app.person()
    await misbehave(bank_url, "axis", down=True)
    answer = await asha.get("/banks")
    assert answer.json() == {
        "items": [
            {"code": "hdfc", "name": "HDFC Bank", "up": True},
            {"code": "axis", "name": "Axis Bank", "up": False},
        ],
        "next_cursor": None,
    }
    await misbehave(bank_url, "axis")
    assert (await asha.get("/banks")).json() == answer.json()  # asked again only after two seconds
    problem(await banked_app.client.get("/api/v1/banks"), 401, "authentication_required")


async def test_banks_that_are_not_there_are_down(asha: Signed) -> None:
    assert [bank["up"] for bank in (await asha.get("/banks")).json()["items"]] == [False, False]


async def test_a_pending_one_can_be_cancelled_by_its_owner_and_no_longer_approved(banked_app: RunningApp) -> None:
    asha, ravi = await banked_app.person(), await banked_app.person("Ravi")
    started = (await asha.post("/on-ramps", bank="hdfc", amount=100)).json()
    assert datetime.fromisoformat(started["expires_at"]) > datetime.fromisoformat(started["created_at"])
    problem(await ravi.post(f"/on-ramps/{started['id']}/cancel"), 404, "on_ramp_not_found")
    cancelled = await asha.post(f"/on-ramps/{started['id']}/cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert cancelled.json()["cancel_requested_at"] is not None
    assert (await asha.post(f"/on-ramps/{started['id']}/cancel")).json() == cancelled.json()
    async with httpx.AsyncClient(trust_env=False) as browser:
        form = {"customer_id": "demo", "password": "demo", "decision": "approve"}
        assert (await browser.post(started["redirect_url"], data=form)).status_code == 409


async def test_a_bank_that_is_away_leaves_it_pending_with_the_wish_kept(banked_app: RunningApp, bank_url: str) -> None:
    asha = await banked_app.person()
    started = (await asha.post("/on-ramps", bank="hdfc", amount=100)).json()
    await misbehave(bank_url, "hdfc", down=True)
    answer = await asha.post(f"/on-ramps/{started['id']}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (202, "pending")
    assert answer.json()["cancel_requested_at"] is not None
    await misbehave(bank_url, "hdfc")
    assert (await asha.post(f"/on-ramps/{started['id']}/cancel")).status_code == 200


async def test_one_that_was_paid_is_credited_and_cannot_be_cancelled(banked_app: RunningApp) -> None:
    asha = await banked_app.person()
    started = (await asha.post("/on-ramps", bank="hdfc", amount=100)).json()
    async with httpx.AsyncClient(trust_env=False) as browser:
        form = {"customer_id": "demo", "password": "demo", "decision": "approve"}
        assert (await browser.post(started["redirect_url"], data=form)).status_code == 303
    problem(await asha.post(f"/on-ramps/{started['id']}/cancel"), 409, "already_decided")
    assert (await asha.wallet())["balance"] == 100
