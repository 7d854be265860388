from __future__ import annotations

import asyncio
from datetime import datetime
from uuid import UUID

import httpx
import pytest
from sqlalchemy import func, select

from services.user_app.settings import UserAppSettings
from shared.db.engine import SessionMaker
from shared.models import Account, OutboxMessage, Owner, User
from tests.support.auth_people import PASSWORD, PIN, is_problem, new_email, open_shop, running, sign_up


async def test_a_person_gets_a_wallet_with_nothing_in_it_and_a_welcome(
    users: httpx.AsyncClient, sessionmaker: SessionMaker
) -> None:
    email = new_email()
    answer = await sign_up(users, email=email.upper(), first_name="  Zoë ", last_name="O'Neil")
    assert answer.keys() == {"user", "token", "expires_at"}
    assert answer["user"].keys() == {"id", "email", "first_name", "last_name", "wallet_id"}
    assert answer["user"]["email"] == email
    assert answer["user"]["first_name"] == "Zoë"
    assert answer["user"]["wallet_id"].startswith("zoe")
    assert datetime.fromisoformat(answer["expires_at"]).utcoffset() is not None
    owner_id = UUID(answer["user"]["id"])
    async with sessionmaker() as session:
        account = (await session.scalars(select(Account).where(Account.owner_id == owner_id))).one()
        messages = (await session.scalars(select(OutboxMessage).where(OutboxMessage.owner_id == owner_id))).all()
    assert (account.kind, account.balance, account.held, account.handle) == (
        "wallet",
        0,
        0,
        answer["user"]["wallet_id"],
    )
    assert [message.kind for message in messages] == ["confirm_email"]


async def test_secrets_are_stored_as_bcrypt_hashes_only(users: httpx.AsyncClient, sessionmaker: SessionMaker) -> None:
    answer = await sign_up(users)
    async with sessionmaker() as session:
        owner = await session.get_one(Owner, UUID(answer["user"]["id"]))
    assert owner.password_hash.startswith("$2b$04$")
    assert owner.pin_hash.startswith("$2b$04$")


async def test_the_cookie_is_set_with_the_token(users: httpx.AsyncClient) -> None:
    body = {"email": new_email(), "password": PASSWORD, "pin": PIN, "first_name": "Alice", "last_name": "Rao"}
    response = await users.post("/auth/register", json=body)
    assert response.headers["set-cookie"].startswith(f"session={response.json()['token']}; HttpOnly; Max-Age=")


async def test_an_email_is_taken_once_even_by_twenty_at_once(
    users: httpx.AsyncClient, sessionmaker: SessionMaker
) -> None:
    email = new_email()
    body = {"email": email, "password": PASSWORD, "pin": PIN, "first_name": "Alice", "last_name": "Rao"}
    responses = await asyncio.gather(*(users.post("/auth/register", json=body) for _ in range(20)))
    assert sorted(response.status_code for response in responses) == [201] + [409] * 19
    is_problem(next(response for response in responses if response.status_code == 409), 409, "email_taken")
    async with sessionmaker() as session:
        assert await session.scalar(select(func.count()).where(Owner.email == email)) == 1


async def test_many_of_one_name_get_wallet_ids_of_their_own(users: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(sign_up(users, first_name="Pushpa") for _ in range(12)))
    wallet_ids = {answer["user"]["wallet_id"] for answer in answers}
    assert len(wallet_ids) == 12
    assert "pushpa@batua" in wallet_ids
    assert all(wallet_id.startswith("pushpa") for wallet_id in wallet_ids)


async def test_nothing_is_left_of_a_registration_that_failed(
    users: httpx.AsyncClient, sessionmaker: SessionMaker
) -> None:
    email = new_email()
    await sign_up(users, email=email)
    async with sessionmaker() as session:
        before = await session.scalar(select(func.count()).select_from(User))
    body = {"email": email, "password": PASSWORD, "pin": PIN, "first_name": "Alice", "last_name": "Rao"}
    is_problem(await users.post("/auth/register", json=body), 409, "email_taken")
    async with sessionmaker() as session:
        assert await session.scalar(select(func.count()).select_from(User)) == before


async def test_the_same_person_may_run_a_shop(users: httpx.AsyncClient, shops: httpx.AsyncClient) -> None:
    email = new_email()
    await sign_up(users, email=email)
    shop = await open_shop(shops, email=email, business_name="Blue Tokai", timezone="Asia/Dubai")
    assert shop["merchant"].keys() == {"id", "email", "business_name", "category", "wallet_id", "timezone"}
    assert shop["merchant"]["timezone"] == "Asia/Dubai"
    assert shop["merchant"]["wallet_id"].startswith("bluetokai")


async def test_a_shop_is_in_india_unless_it_says_otherwise(shops: httpx.AsyncClient) -> None:
    assert (await open_shop(shops))["merchant"]["timezone"] == "Asia/Kolkata"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"email": "nobody"}, "email"),
        ({"password": "short"}, "password"),
        ({"password": "x" * 73}, "password"),
        ({"pin": "12"}, "pin"),
        ({"pin": 1234}, "pin"),
        ({"first_name": "\x00"}, "first_name"),
        ({"is_system": True}, "is_system"),
    ],
)
async def test_errors_name_their_field(users: httpx.AsyncClient, change: dict[str, object], field: str) -> None:
    body = {"email": new_email(), "password": PASSWORD, "pin": PIN, "first_name": "Alice", "last_name": "Rao"}
    response = await users.post("/auth/register", json=body | change)
    is_problem(response, 422, "invalid_request")
    assert [each["field"] for each in response.json()["errors"]] == [field]


@pytest.mark.parametrize(
    ("secrets", "fields"),
    [
        ({"password": "password123"}, ["password"]),
        ({"password": "AliceRao1990"}, ["password"]),
        ({"pin": "0000"}, ["pin"]),
        ({"password": "12345678", "pin": "1990"}, ["password", "pin"]),
    ],
)
async def test_secrets_that_are_easy_to_guess_are_refused(
    users: httpx.AsyncClient, secrets: dict[str, str], fields: list[str]
) -> None:
    email = new_email()
    body = {"email": email, "password": PASSWORD, "pin": PIN, "first_name": "Alice", "last_name": "Rao"}
    refused = await users.post("/auth/register", json=body | secrets)
    is_problem(refused, 422, "weak_secret")
    assert [each["field"] for each in refused.json()["errors"]] == fields
    assert not any(secret in refused.text for secret in secrets.values())
    assert (await users.post("/auth/register", json=body)).status_code == 201  # it took neither email nor name
    users.cookies.clear()


async def test_a_shop_is_not_protected_by_its_name(shops: httpx.AsyncClient) -> None:
    body = {"email": new_email(), "password": "Chai Point 2024", "pin": PIN, "business_name": "Chai Point"}
    is_problem(await shops.post("/auth/register", json=body), 422, "weak_secret")


async def test_a_welcome_balance_comes_out_of_funding(
    user_settings: UserAppSettings, sessionmaker: SessionMaker
) -> None:
    settings = user_settings.model_copy(update={"welcome_balance_paise": 5000})
    async with running(settings) as client:
        answer = await sign_up(client)
    async with sessionmaker() as session:
        statement = select(Account).where(Account.owner_id == UUID(answer["user"]["id"]))
        account = (await session.scalars(statement)).one()
    assert (account.balance, account.seq) == (5000, 1)
