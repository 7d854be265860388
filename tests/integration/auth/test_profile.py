from __future__ import annotations

import asyncio
from uuid import UUID

import httpx
import pytest
from sqlalchemy import update

from shared.auth.address_places import AddressPlaces, Place
from shared.auth.passwords import HashingCore
from shared.db.engine import SessionMaker
from shared.models import Merchant, User
from tests.support.auth_people import PASSWORD, PIN, bearing, is_problem, log_in, new_email, open_shop, sign_up
from tests.support.deadlines import deadline

NEW = "another horse"


async def change(client: httpx.AsyncClient, token: str, **body: object) -> httpx.Response:
    return await client.patch("/users/me", json=body, headers=bearing(token))


async def change_shop(client: httpx.AsyncClient, token: str, **body: object) -> httpx.Response:
    return await client.patch("/merchants/me", json=body, headers=bearing(token))


async def test_names_change_and_the_rest_stays(users: httpx.AsyncClient) -> None:
    answer = await sign_up(users)
    response = await change(users, answer["token"], last_name="Iyer")
    assert response.json() == answer["user"] | {"last_name": "Iyer"}
    assert (await users.get("/users/me", headers=bearing(answer["token"]))).json() == response.json()
    assert (await change(users, answer["token"])).json() == response.json()


async def test_a_new_password_signs_out_every_other_session(users: httpx.AsyncClient) -> None:
    answer = await sign_up(users)
    email = answer["user"]["email"]
    other = (await log_in(users, email)).json()["token"]
    response = await change(users, answer["token"], current_password=PASSWORD, new_password=NEW, first_name="Alicia")
    assert response.json()["first_name"] == "Alicia"
    assert (await change(users, answer["token"])).status_code == 200
    is_problem(await change(users, other), 401, "token_revoked")
    is_problem(await log_in(users, email, PASSWORD), 401, "bad_credentials")
    again = (await log_in(users, email, NEW)).json()["token"]
    assert (await change(users, again, current_password=NEW, new_password=PASSWORD)).status_code == 200
    is_problem(await change(users, answer["token"]), 401, "token_revoked")


async def test_a_sign_in_under_way_with_the_old_password_does_not_outlive_the_change(
    users: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AddressPlaces, "take", lambda *_: Place(None))  # one address makes both, on however many cores
    answer = await sign_up(users)
    compared, changed = asyncio.Event(), asyncio.Event()

    async def slow(core: HashingCore, password: str, password_hash: str | None) -> bool:
        matches = await compare(core, password, password_hash)
        if not compared.is_set():
            compared.set()
            await asyncio.wait_for(changed.wait(), deadline())
        return matches

    compare = HashingCore.compare
    monkeypatch.setattr(HashingCore, "compare", slow)
    under_way = asyncio.create_task(log_in(users, answer["user"]["email"]))
    await asyncio.wait_for(compared.wait(), deadline())
    response = await change(users, answer["token"], current_password=PASSWORD, new_password=NEW)
    assert response.status_code == 200
    changed.set()
    is_problem(await under_way, 401, "bad_credentials")


async def test_a_new_pin_replaces_the_old_one_and_ends_no_session(users: httpx.AsyncClient) -> None:
    answer = await sign_up(users)
    other = (await log_in(users, answer["user"]["email"])).json()["token"]
    assert (await change(users, answer["token"], current_password=PASSWORD, new_pin="825693")).status_code == 200
    old = await users.post("/auth/pin", json={"pin": PIN}, headers=bearing(other))
    is_problem(old, 403, "pin_incorrect")
    new = await users.post("/auth/pin", json={"pin": "825693"}, headers=bearing(other))
    assert new.status_code == 200


@pytest.mark.parametrize("secret", [{"new_password": NEW}, {"new_pin": "8256"}])
async def test_a_secret_changes_only_with_the_current_password(
    users: httpx.AsyncClient, secret: dict[str, str]
) -> None:
    answer = await sign_up(users)
    missing = await change(users, answer["token"], **secret)
    is_problem(missing, 422, "invalid_request")
    assert [each["field"] for each in missing.json()["errors"]] == ["current_password"]
    wrong = await change(users, answer["token"], current_password="wrong horse", first_name="Mallory", **secret)
    is_problem(wrong, 403, "current_password_incorrect")
    assert (await change(users, answer["token"])).json() == answer["user"]
    assert (await log_in(users, answer["user"]["email"])).status_code == 200


@pytest.mark.parametrize("weak", [{"new_password": "alice.rao.1990"}, {"new_pin": "4321"}])
async def test_a_new_secret_that_is_easy_to_guess_is_refused(users: httpx.AsyncClient, weak: dict[str, str]) -> None:
    answer = await sign_up(users)
    refused = await change(users, answer["token"], current_password=PASSWORD, first_name="Mallory", **weak)
    is_problem(refused, 422, "weak_secret")
    assert [each["field"] for each in refused.json()["errors"]] == list(weak)
    stranger = await change(users, answer["token"], current_password="wrong horse", **weak)
    is_problem(stranger, 403, "current_password_incorrect")  # it learns nothing, and the estimate is not made
    assert (await change(users, answer["token"])).json() == answer["user"]


async def test_of_two_changes_at_once_one_wins(users: httpx.AsyncClient) -> None:
    answer = await sign_up(users)
    other = (await log_in(users, answer["user"]["email"])).json()["token"]
    responses = await asyncio.gather(
        change(users, answer["token"], current_password=PASSWORD, new_password="first horse"),
        change(users, other, current_password=PASSWORD, new_password="second horse"),
    )
    codes = sorted(response.status_code for response in responses)
    assert codes[0] == 200
    assert codes[1] in {401, 403}


@pytest.mark.parametrize("body", [{"first_name": ""}, {"email": "new@example.com"}, {"wallet_id": "x@batua"}])
async def test_invalid_changes_are_rejected(users: httpx.AsyncClient, body: dict[str, str]) -> None:
    answer = await sign_up(users)
    is_problem(await change(users, answer["token"], **body), 422, "invalid_request")


async def test_a_shop_changes_its_details(shops: httpx.AsyncClient) -> None:
    shop = await open_shop(shops, category="tea")
    headers = bearing(shop["token"])
    body = {"business_name": "Chai Corner", "timezone": "Asia/Dubai"}
    changed = (await shops.patch("/merchants/me", json=body, headers=headers)).json()
    assert changed == shop["merchant"] | body
    assert (await shops.patch("/merchants/me", json={"category": None}, headers=headers)).json()["category"] is None
    is_problem(
        await shops.patch("/merchants/me", json={"timezone": "Mars/Base"}, headers=headers), 422, "invalid_request"
    )
    is_problem(
        await shops.patch("/merchants/me", json={"current_password": "no", "new_pin": "8256"}, headers=headers),
        403,
        "current_password_incorrect",
    )
    assert (await shops.get("/merchants/me", headers=headers)).json() == changed | {"category": None}


async def test_a_name_that_passes_for_another_is_refused_at_its_field(
    users: httpx.AsyncClient, shops: httpx.AsyncClient
) -> None:
    person, shop = await sign_up(users), await open_shop(shops)
    secrets = {"email": new_email(), "password": PASSWORD, "pin": PIN}
    new_person = secrets | {"first_name": "Adm1n", "last_name": "Rao"}
    for answer, field in (
        (await change(users, person["token"], first_name="HDFC"), "first_name"),
        (await change(users, person["token"], last_name="evil.com"), "last_name"),
        (await users.post("/auth/register", json=new_person), "first_name"),
        (await shops.post("/auth/register", json=secrets | {"business_name": "B\u0430tua"}), "business_name"),
        (await change_shop(shops, shop["token"], business_name="Axis Bank"), "business_name"),
    ):
        is_problem(answer, 422, "name_not_allowed")
        assert [each["field"] for each in answer.json()["errors"]] == [field]
    assert (await users.get("/users/me", headers=bearing(person["token"]))).json() == person["user"]


async def test_a_name_of_before_stays_while_the_rest_changes(
    shops: httpx.AsyncClient, users: httpx.AsyncClient, sessionmaker: SessionMaker
) -> None:
    person, shop = await sign_up(users), await open_shop(shops)
    async with sessionmaker.begin() as session:
        await session.execute(update(User).where(User.id == UUID(person["user"]["id"])).values(first_name="Support"))
        await session.execute(
            update(Merchant).where(Merchant.id == UUID(shop["merchant"]["id"])).values(business_name="Batua Bags")
        )
    same = {"business_name": "Batua Bags", "timezone": "Asia/Dubai"}
    assert (await change_shop(shops, shop["token"], **same)).status_code == 200
    assert (await change(users, person["token"], first_name="Support")).status_code == 200
    is_problem(await change(users, person["token"], last_name="Iyer"), 422, "name_not_allowed")
    assert (await change(users, person["token"], first_name="Asha", last_name="Iyer")).status_code == 200
