from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import jwt
import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from services.user_app.settings import UserAppSettings
from shared import clock
from shared.auth.tokens import Tokens
from shared.ids import new_id
from tests.integration.auth.conftest import OLD_KEY
from tests.support.auth_people import bearing, is_problem, log_in, open_shop, running, sign_up


def part(content: dict[str, Any]) -> str:
    return urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def reads(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


async def me(client: httpx.AsyncClient, token: str) -> httpx.Response:
    return await client.get("/users/me", headers=bearing(token))


async def test_a_token_identifies_its_owner(users: httpx.AsyncClient) -> None:
    answer = await sign_up(users)
    assert (await me(users, answer["token"])).json() == answer["user"]
    again = (await log_in(users, answer["user"]["email"].upper())).json()
    assert again["user"] == answer["user"]
    assert (await me(users, again["token"])).status_code == 200


async def test_a_request_without_a_token_is_rejected(users: httpx.AsyncClient) -> None:
    is_problem(await users.get("/users/me"), 401, "authentication_required")
    is_problem(await users.get("/users/me", headers={"Authorization": "Basic eA=="}), 401, "authentication_required")


async def test_a_token_without_a_signature_is_refused(users: httpx.AsyncClient) -> None:
    token = (await sign_up(users))["token"]
    header, payload, signature = token.split(".")
    key_id = jwt.get_unverified_header(token)["kid"]
    for algorithm in ("none", "None", "RS256", "HS512"):
        forged = part({"alg": algorithm, "typ": "JWT", "kid": key_id})
        for signed in ("", signature):
            is_problem(await me(users, f"{forged}.{payload}.{signed}"), 401, "token_invalid")
    other = part(reads(token) | {"sub": str(new_id())})
    is_problem(await me(users, f"{header}.{other}.{signature}"), 401, "token_invalid")


@pytest.mark.parametrize("token", ["x", "a.b.c", "....", "é", "x" * 5000, "e30.e30.e30"])
async def test_malformed_tokens_are_rejected(users: httpx.AsyncClient, token: str) -> None:
    headers = {b"Authorization": f"Bearer {token}".encode()}
    is_problem(await users.get("/users/me", headers=headers), 401, "token_invalid")


def signed_by_us(settings: UserAppSettings, claims: dict[str, Any], **header: str) -> str:
    """A token under our own newest key, saying what we like."""
    tokens = Tokens(settings, "user_app")
    key_id = tokens._signing_key_id
    return jwt.encode(claims, tokens._keys[key_id], "HS256", headers={"kid": key_id, **header})


@pytest.mark.parametrize(
    "change",
    [
        {"aud": "merchant_app"},
        {"aud": ["user_app", "merchant_app"]},
        {"iss": "another"},
        {"purpose": "pin"},
        {"sub": "not-an-id"},
        {"jti": 5},
        {"exp": "tomorrow"},
        {"exp": 1e300},
        {"iat": None},
        {"aud": None},
        {"jti": None},
        {"sub": None},
        {"exp": None},
    ],
)
async def test_every_claim_must_be_there_and_right(
    users: httpx.AsyncClient, user_settings: UserAppSettings, change: dict[str, Any]
) -> None:
    claims = reads((await sign_up(users))["token"])
    assert (await me(users, signed_by_us(user_settings, claims))).status_code == 200
    changed = {name: value for name, value in (claims | change).items() if value is not None}
    is_problem(await me(users, signed_by_us(user_settings, changed)), 401, "token_invalid")


async def test_an_unknown_key_is_refused(users: httpx.AsyncClient, user_settings: UserAppSettings) -> None:
    claims = reads((await sign_up(users))["token"])
    is_problem(await me(users, signed_by_us(user_settings, claims, kid="another")), 401, "token_invalid")
    strange = user_settings.model_copy(update={"token_keys": [SecretStr("a stranger's key 0123")]})
    is_problem(await me(users, signed_by_us(strange, claims)), 401, "token_invalid")


async def test_a_key_that_was_rotated_out_of_signing_still_verifies(
    users: httpx.AsyncClient, user_settings: UserAppSettings
) -> None:
    answer = await sign_up(users)
    before = user_settings.model_copy(update={"token_keys": [OLD_KEY]})
    assert (await me(users, Tokens(before, "user_app").issue(UUID(answer["user"]["id"])).token)).status_code == 200


async def test_a_token_expires_at_its_time(users: httpx.AsyncClient, user_settings: UserAppSettings) -> None:
    answer = await sign_up(users)
    expires_at = datetime.fromisoformat(answer["expires_at"])
    with clock.reading(lambda: expires_at - timedelta(seconds=1)):
        assert (await me(users, answer["token"])).status_code == 200
    with clock.reading(lambda: expires_at):
        is_problem(await me(users, answer["token"]), 401, "token_expired")
    assert expires_at - datetime.now(UTC) <= timedelta(seconds=user_settings.token_lifetime_seconds)


async def test_a_token_is_valid_for_its_own_app_only(users: httpx.AsyncClient, shops: httpx.AsyncClient) -> None:
    person, shop = await sign_up(users), await open_shop(shops)
    is_problem(await me(users, shop["token"]), 401, "token_invalid")
    is_problem(await shops.get("/merchants/me", headers=bearing(person["token"])), 401, "token_invalid")
    assert (await shops.get("/merchants/me", headers=bearing(shop["token"]))).json() == shop["merchant"]


async def test_a_token_of_a_deleted_owner_is_rejected(users: httpx.AsyncClient, user_settings: UserAppSettings) -> None:
    is_problem(await me(users, Tokens(user_settings, "user_app").issue(new_id()).token), 401, "token_invalid")


async def test_a_sign_out_outlives_redis(users: httpx.AsyncClient, redis: Redis) -> None:
    answer = await sign_up(users)
    other = (await log_in(users, answer["user"]["email"])).json()["token"]
    response = await users.post("/auth/logout", headers=bearing(answer["token"]))
    assert response.status_code == 204
    assert 'session=""' in response.headers["set-cookie"]
    await redis.flushdb()  # not those of other workers
    is_problem(await me(users, answer["token"]), 401, "token_revoked")
    is_problem(await users.post("/auth/logout", headers=bearing(answer["token"])), 401, "token_revoked")
    assert (await me(users, other)).status_code == 200


async def test_signing_in_and_out_needs_no_redis(user_settings: UserAppSettings) -> None:
    away = user_settings.model_copy(update={"redis_url": SecretStr("redis://127.0.0.1:1/0")})
    async with running(away) as client:
        answer = await sign_up(client)
        token = (await log_in(client, answer["user"]["email"])).json()["token"]
        assert (await client.post("/auth/logout", headers=bearing(token))).status_code == 204
        is_problem(await me(client, token), 401, "token_revoked")


async def test_the_cookie_is_as_good_as_the_token_for_reading(users: httpx.AsyncClient) -> None:
    answer = await sign_up(users)
    cookie = {"Cookie": f"session={answer['token']}", "Sec-Fetch-Site": "cross-site"}
    assert (await users.get("/users/me", headers=cookie)).json() == answer["user"]


async def test_another_site_cannot_use_the_cookie_to_change_anything(users: httpx.AsyncClient) -> None:
    token = (await sign_up(users))["token"]
    cookie = {"Cookie": f"session={token}"}
    for evil in ({}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://evil.test"}, {"Origin": "null"}):
        response = await users.patch("/users/me", json={"first_name": "Mallory"}, headers=cookie | evil)
        is_problem(response, 403, "cross_origin")
    for ours in ({"Sec-Fetch-Site": "same-origin"}, {"Origin": "http://batua.test"}):
        response = await users.patch("/users/me", json={"first_name": "Alicia"}, headers=cookie | ours)
        assert response.json()["first_name"] == "Alicia"


async def test_a_bearer_token_counts_before_the_cookie(users: httpx.AsyncClient) -> None:
    alice, bob = await sign_up(users), await sign_up(users, first_name="Bob")
    headers = bearing(alice["token"]) | {"Cookie": f"session={bob['token']}"}
    assert (await users.get("/users/me", headers=headers)).json() == alice["user"]
    is_problem(await users.get("/users/me", headers=headers | bearing("x")), 401, "token_invalid")


async def test_a_wrong_password_and_an_unknown_email_are_answered_alike(users: httpx.AsyncClient) -> None:
    known = (await sign_up(users))["user"]["email"]
    answers = []
    for email in (known, "nobody@example.com"):
        response = await log_in(users, email, "wrong horse")
        is_problem(response, 401, "bad_credentials")
        assert "set-cookie" not in response.headers
        answers.append(response.json())
    assert answers[0] == answers[1]


@pytest.mark.parametrize("password", ["", "x" * 289, None, 5])
async def test_a_password_that_cannot_be_one_is_a_422(users: httpx.AsyncClient, password: object) -> None:
    response = await users.post("/auth/login", json={"email": "a@example.com", "password": password})
    is_problem(response, 422, "invalid_request")


async def test_a_password_that_is_no_text_is_a_wrong_one(users: httpx.AsyncClient) -> None:
    email = (await sign_up(users))["user"]["email"]
    content = b'{"email": "%s", "password": "\\ud800horse"}' % email.encode()
    response = await users.post("/auth/login", content=content, headers={"Content-Type": "application/json"})
    is_problem(response, 401, "bad_credentials")
