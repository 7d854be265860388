"""`/transfers`: the contract of sending money."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from redis.asyncio import Redis
from sqlalchemy import select

from shared import clock
from shared.models import OutboxMessage
from tests.support.apps import PIN, RunningApp, Signed, problem


async def test_money_sent_to_a_friend_is_answered_with_a_whole_receipt(asha: Signed, ravi: Signed) -> None:
    answer = await asha.send(ravi.wallet_id.upper(), 250_00, note="  lunch ")

    assert answer.status_code == 201, answer.text
    assert "idempotent-replayed" not in answer.headers
    receipt = answer.json()
    created_at = datetime.fromisoformat(receipt.pop("created_at"))
    assert abs(clock.now() - created_at) < timedelta(seconds=30)
    assert UUID(receipt.pop("id")).version == 7
    assert receipt == {
        "kind": "p2p",
        "amount": 250_00,
        "currency": "INR",
        "from": {"wallet_id": asha.wallet_id, "name": "Asha Rao"},
        "to": {"wallet_id": ravi.wallet_id, "name": "Ravi Rao"},
        "note": "lunch",
        "balance_after": 750_00,
    }
    assert (await asha.wallet())["balance"] == 750_00
    assert (await ravi.wallet())["balance"] == 250_00


async def test_both_parties_and_no_others_read_the_transfer_each_with_its_own_balance(
    user_app: RunningApp, asha: Signed, ravi: Signed
) -> None:
    sent = (await asha.send(ravi.wallet_id, 40_00)).json()
    stranger = await user_app.person("Meera")

    assert (await asha.get(f"/transfers/{sent['id']}")).json() == sent
    assert (await ravi.get(f"/transfers/{sent['id']}")).json() == {**sent, "balance_after": 40_00}
    problem(await stranger.get(f"/transfers/{sent['id']}"), 404, "transfer_not_found")
    problem(await asha.get(f"/transfers/{uuid4()}"), 404, "transfer_not_found")


async def test_paying_a_shop_is_a_payment(asha: Signed, shop: Signed) -> None:
    receipt = (await asha.send(shop.wallet_id, 30_00)).json()
    assert receipt["kind"] == "payment"
    assert receipt["to"] == {"wallet_id": shop.wallet_id, "name": "Chai Point"}
    assert (await shop.wallet())["balance"] == 30_00


async def test_the_mail_to_the_recipient_is_written_in_the_same_transaction(
    user_app: RunningApp, asha: Signed, ravi: Signed
) -> None:
    sent = (await asha.send(ravi.wallet_id, 5_00, note="tea")).json()
    async with user_app.sessionmaker() as session:
        statement = select(OutboxMessage).where(
            OutboxMessage.owner_id == ravi.id, OutboxMessage.kind != "confirm_email"
        )
        (message,) = (await session.execute(statement)).scalars()
    assert message.kind == "money_received"
    facts = {"kind": "p2p", "amount": 5_00, "from_name": "Asha Rao", "note": "tea", "transfer_id": sent["id"]}
    assert message.facts == facts


async def test_money_moves_between_accounts_of_one_owner_by_their_ids(asha: Signed, ravi: Signed) -> None:
    pot = (await asha.post("/accounts", name="Goa trip")).json()

    aside = (await asha.send(pot["id"], 100_00)).json()
    assert (aside["kind"], aside["balance_after"]) == ("p2p", 900_00)
    assert aside["from"] == {"wallet_id": asha.wallet_id, "name": "Asha Rao"}
    assert aside["to"] == {"wallet_id": None, "name": "Goa trip"}

    paid = (await asha.send(ravi.wallet_id, 30_00, from_account=pot["id"])).json()
    assert paid["balance_after"] == 70_00
    assert paid["from"] == {"wallet_id": asha.wallet_id, "name": "Asha Rao"}

    back = (await asha.send(asha.wallet_id, 70_00, from_account=pot["id"])).json()
    assert back["balance_after"] == 0
    assert (await asha.get(f"/transfers/{back['id']}")).json() == back
    assert (await asha.wallet())["balance"] == 970_00


async def test_a_rejected_transfer_moves_nothing(asha: Signed, ravi: Signed) -> None:
    his_wallet = (await ravi.wallet())["account_id"]
    his_pot = (await ravi.post("/accounts", name="Savings")).json()["id"]
    pot = (await asha.post("/accounts", name="Goa trip")).json()["id"]

    short = problem(await asha.send(ravi.wallet_id, 1000_01), 402, "insufficient_funds")
    assert (short["available"], short["amount"]) == (1000_00, 1000_01)
    problem(await asha.send("nobody-of-that-name@batua", 1), 404, "recipient_not_found")
    problem(await asha.send(str(uuid4()), 1), 404, "recipient_not_found")
    problem(await asha.send(his_wallet, 1), 404, "recipient_not_found")
    problem(await asha.send(his_pot, 1), 404, "recipient_not_found")
    problem(await asha.send(ravi.wallet_id, 1, from_account=his_pot), 404, "account_not_found")
    problem(await asha.send(ravi.wallet_id, 1, from_account=his_wallet), 404, "account_not_found")
    problem(await asha.send(asha.wallet_id, 1), 422, "same_account")
    problem(await asha.send((await asha.wallet())["account_id"], 1), 422, "same_account")
    problem(await asha.send(pot, 1, from_account=pot), 422, "same_account")

    assert (await asha.wallet())["balance"] == 1000_00
    assert (await ravi.wallet())["balance"] == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("amount", 0),
        ("amount", -5),
        ("amount", 10_000_000_01),
        ("amount", 10**30),
        ("amount", 1.5),
        ("amount", 5.0),
        ("amount", "5"),
        ("amount", True),
        ("amount", None),
        ("to", ""),
        ("to", "ravi"),
        ("to", "a" * 500),
        ("to", 7),
        ("note", "x" * 201),
        ("note", "nul\x00"),
        ("note", "\ud800"),
        ("note", ["list"]),
        ("pin", "12"),
        ("pin", 4711),
        ("from_account", "mine"),
        ("colour", "red"),
    ],
)
async def test_a_wrong_field_is_named(asha: Signed, ravi: Signed, field: str, value: Any) -> None:
    body = {"to": ravi.wallet_id, "amount": 1, "pin": PIN, field: value}
    refused = problem(await asha.post("/transfers", **body), 422, "invalid_request")
    assert [error["field"] for error in refused["errors"]] == [field]


async def test_the_pin_is_checked_before_anything_else(asha: Signed, ravi: Signed) -> None:
    wrong = problem(await asha.send("nobody-of-that-name@batua", 10**9, pin="0000"), 403, "pin_incorrect")
    assert wrong["attempts_left"] == 4
    missing = problem(await asha.post("/transfers", to=ravi.wallet_id, amount=1), 422, "invalid_request")
    assert [error["field"] for error in missing["errors"]] == ["pin"]
    for _ in range(4):
        await asha.send(ravi.wallet_id, 1, pin="0000")
    locked = await asha.send(ravi.wallet_id, 1)
    problem(locked, 423, "pin_locked")
    assert int(locked.headers["retry-after"]) > 0
    assert (await ravi.wallet())["balance"] == 0


async def test_a_pin_token_stands_for_the_pin(asha: Signed, ravi: Signed) -> None:
    token = (await asha.post("/auth/pin", pin=PIN)).json()["pin_token"]
    body: dict[str, Any] = {"to": ravi.wallet_id, "amount": 7_00}
    assert (await asha.post("/transfers", headers={"X-Pin-Token": token}, **body)).status_code == 201
    problem(await ravi.post("/transfers", headers={"X-Pin-Token": token}, **body), 403, "pin_token_invalid")
    assert (await ravi.wallet())["balance"] == 7_00


async def test_without_a_key_nothing_is_sent(asha: Signed, ravi: Signed) -> None:
    body: dict[str, Any] = {"to": ravi.wallet_id, "amount": 1, "pin": PIN}
    problem(await asha.post("/transfers", key=None, **body), 400, "idempotency_key_missing")
    problem(await asha.post("/transfers", key="two words", **body), 400, "idempotency_key_missing")
    problem(await asha.post("/transfers", key="k" * 256, **body), 400, "idempotency_key_missing")
    assert (await ravi.wallet())["balance"] == 0


@pytest.mark.parametrize("is_wiped", [False, True], ids=["redis remembers", "redis forgot"])
async def test_a_repeated_key_is_answered_as_the_first_time(
    asha: Signed, ravi: Signed, redis: Redis, is_wiped: bool
) -> None:
    first = await asha.send(ravi.wallet_id, 600_00, key="once")
    if is_wiped:
        await redis.flushdb()
    again = await asha.send(ravi.wallet_id.upper(), 600_00, key="once")  # which one could not pay a second time

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"
    assert (await ravi.wallet())["balance"] == 600_00


@pytest.mark.parametrize("is_wiped", [False, True], ids=["redis remembers", "redis forgot"])
async def test_a_key_used_for_something_else_is_refused_naming_what_differs(
    asha: Signed, ravi: Signed, redis: Redis, is_wiped: bool
) -> None:
    await asha.send(ravi.wallet_id, 1_00, key="once", note="a")
    if is_wiped:
        await redis.flushdb()
    refused = problem(await asha.send(ravi.wallet_id, 2_00, key="once", note="b"), 422, "idempotency_key_reused")
    assert [error["field"] for error in refused["errors"]] == ["amount", "note"]
    assert (await ravi.wallet())["balance"] == 1_00


async def test_two_owners_may_use_the_same_key(asha: Signed, ravi: Signed) -> None:
    assert (await asha.send(ravi.wallet_id, 5_00, key="mine")).status_code == 201
    assert (await ravi.send(asha.wallet_id, 3_00, key="mine")).status_code == 201
    assert (await ravi.wallet())["balance"] == 2_00


async def test_a_rejected_request_frees_the_key(asha: Signed, ravi: Signed) -> None:
    problem(await ravi.send(asha.wallet_id, 5_00, key="later"), 402, "insufficient_funds")
    await asha.send(ravi.wallet_id, 5_00)
    answer = await ravi.send(asha.wallet_id, 5_00, key="later")
    assert answer.status_code == 201
    assert "idempotent-replayed" not in answer.headers


async def test_many_copies_at_once_move_the_money_once(asha: Signed, ravi: Signed) -> None:
    answers = await asyncio.gather(*(asha.send(ravi.wallet_id, 10_00, key="storm") for _ in range(10)))
    created = [answer.json() for answer in answers if answer.status_code == 201]
    assert created
    assert all(body == created[0] for body in created)
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert (await ravi.wallet())["balance"] == 10_00


async def test_without_a_session_of_this_app_no_money_is_sent(asha: Signed, ravi: Signed, shop: Signed) -> None:
    outsider = Signed(asha.client, shop.profile, shop.token)
    problem(await outsider.send(ravi.wallet_id, 1), 401, "token_invalid")
    answer = await asha.client.post("/api/v1/transfers", json={"to": ravi.wallet_id, "amount": 1, "pin": PIN})
    problem(answer, 401, "authentication_required")
    assert answer.headers["www-authenticate"] == "Bearer"
