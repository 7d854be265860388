"""`/accounts` and `/wallet`: what one has, and pots to put money aside."""

from __future__ import annotations

import asyncio
from uuid import uuid4

import pytest

from shared.owner_quotas import OwnerQuotas
from tests.support.apps import Signed, problem


async def test_the_wallet_shows_balance_held_and_available(asha: Signed) -> None:
    wallet = await asha.wallet()
    assert wallet.pop("account_id")
    assert wallet == {
        "wallet_id": asha.wallet_id,
        "balance": 1000_00,
        "held": 0,
        "available": 1000_00,
        "currency": "INR",
        "is_frozen": False,
    }


async def test_pots_are_opened_empty_and_listed_after_the_wallet(asha: Signed) -> None:
    answer = await asha.post("/accounts", key=None, name=" Goa trip ")
    assert answer.status_code == 201
    pot = answer.json()
    assert {name: pot[name] for name in ("kind", "name", "wallet_id", "balance", "held", "available", "currency")} == {
        "kind": "pot",
        "name": "Goa trip",
        "wallet_id": None,
        "balance": 0,
        "held": 0,
        "available": 0,
        "currency": "INR",
    }
    assert (await asha.get(f"/accounts/{pot['id']}")).json() == pot

    listed = (await asha.get("/accounts")).json()
    assert [account["kind"] for account in listed["items"]] == ["wallet", "pot"]
    assert listed["next_cursor"] is None
    first = (await asha.get("/accounts", limit=1)).json()
    second = (await asha.get("/accounts", limit=1, cursor=first["next_cursor"])).json()
    assert first["items"] + second["items"] == listed["items"]


async def test_pot_names_are_unique_per_owner_only(asha: Signed, ravi: Signed) -> None:
    assert (await asha.post("/accounts", name="Goa trip")).status_code == 201
    problem(await asha.post("/accounts", name="Goa trip"), 409, "pot_name_taken")
    assert (await ravi.post("/accounts", name="Goa trip")).status_code == 201


async def test_pots_are_bounded_however_many_are_asked_for_at_once(asha: Signed) -> None:
    for number in range(OwnerQuotas().open_pots - 2):
        assert (await asha.post("/accounts", name=f"Pot {number}")).status_code == 201
    answers = await asyncio.gather(*(asha.post("/accounts", name=f"Late pot {number}") for number in range(6)))
    assert sorted(answer.status_code for answer in answers) == [201] * 2 + [409] * 4
    problem(await asha.post("/accounts", name="One more"), 409, "too_many_pots")
    assert len((await asha.get("/accounts", limit=100)).json()["items"]) == 1 + OwnerQuotas().open_pots


@pytest.mark.parametrize("body", [{}, {"name": " "}, {"name": "x" * 101}, {"name": 7}, {"name": "a", "balance": 5}])
async def test_a_pot_needs_a_name_and_nothing_else(asha: Signed, body: dict[str, object]) -> None:
    problem(await asha.post("/accounts", key=None, headers=None, **body), 422, "invalid_request")


async def test_accounts_of_others_are_not_there(asha: Signed, ravi: Signed) -> None:
    his = (await ravi.wallet())["account_id"]
    for account_id in (his, str(uuid4())):
        problem(await asha.get(f"/accounts/{account_id}"), 404, "account_not_found")
        problem(await asha.get(f"/accounts/{account_id}/balance"), 404, "account_not_found")
    problem(await asha.get("/accounts/mine"), 422, "invalid_request")
    assert [account["wallet_id"] for account in (await asha.get("/accounts")).json()["items"]] == [asha.wallet_id]
