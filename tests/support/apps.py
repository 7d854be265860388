"""user_app and merchant_app in this process, and people and shops who sign up there and call them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
from fastapi import FastAPI
from pydantic import SecretStr

from services.merchant_app.main import create_app as create_merchant_app
from services.merchant_app.settings import MerchantAppSettings
from services.user_app.main import create_app as create_user_app
from services.user_app.settings import UserAppSettings
from shared.config import RateLimits
from shared.db.engine import SessionMaker
from shared.ids import new_token
from tests.support.bank_settings import NOWHERE, bank_values
from tests.support.factories import fund
from tests.support.number_keys import NUMBER_KEY
from tests.support.peppers import PEPPER

PIN = "4711"
PASSWORD = "correct horse"
API = "/api/v1"
_KEPT_APPLICATIONS = 8

Settings = UserAppSettings | MerchantAppSettings

_idle: list[tuple[Settings, FastAPI]] = []


def user_app_settings(database_url: str, redis_url: str, bank_url: str = NOWHERE, **more: Any) -> UserAppSettings:
    """Cheap hashes, no throttling, and time enough for a bank to answer."""
    own = {"user_app_url": "https://batua.example", **bank_values(bank_url), **more}
    return UserAppSettings(**{**_common(database_url, redis_url), **own})


def merchant_app_settings(database_url: str, redis_url: str, **more: Any) -> MerchantAppSettings:
    """The same for shops."""
    own = {"merchant_app_url": "https://shops.batua.example", **more}
    return MerchantAppSettings(**{**_common(database_url, redis_url), **own})


def _common(database_url: str, redis_url: str) -> dict[str, Any]:
    return {
        "database_url": SecretStr(database_url),
        "redis_url": SecretStr(redis_url),
        "token_keys": [SecretStr("newest-key-0123456789")],
        "pin_pepper": SecretStr(PEPPER),
        "account_number_keys": [SecretStr(NUMBER_KEY)],
        "bcrypt_rounds": 4,
        "refusal_delay_seconds": 0,
        "rate_limits": RateLimits(enabled=False),
    }


@dataclass
class Signed:
    """A person or a shop that has signed in. Each `post` gets a fresh key unless one is given."""

    client: httpx.AsyncClient
    profile: dict[str, Any]
    token: str

    @property
    def id(self) -> UUID:
        """The owner's id."""
        return UUID(self.profile["id"])

    @property
    def wallet_id(self) -> str:
        """What others send money to."""
        return str(self.profile["wallet_id"])

    async def get(self, path: str, **parameters: Any) -> httpx.Response:
        """GET below `/api/v1`."""
        return await self.client.get(f"{API}{path}", params=parameters, headers=self._headers())

    async def post(
        self, path: str, *, key: str | None = "", headers: dict[str, str] | None = None, **body: Any
    ) -> httpx.Response:
        """POST below `/api/v1`; `key=None` sends none."""
        sent = self._headers() | (headers or {})
        if key is not None:
            sent["Idempotency-Key"] = key or new_token()
        sent["Content-Type"] = "application/json"
        # ASCII, so that half a surrogate pair can be sent too.
        return await self.client.post(f"{API}{path}", content=json.dumps(body), headers=sent)

    async def send(self, to: str, amount: int, *, key: str = "", **more: Any) -> httpx.Response:
        """Send money, with the right PIN."""
        return await self.post("/transfers", key=key, **{"to": to, "amount": amount, "pin": PIN, **more})

    async def wallet(self) -> dict[str, Any]:
        """What one has."""
        answer = await self.get("/wallet")
        assert answer.status_code == httpx.codes.OK, answer.text
        return dict(answer.json())

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@dataclass
class RunningApp:
    """An app whose lifespan is open."""

    app: FastAPI
    client: httpx.AsyncClient
    sessionmaker: SessionMaker

    async def person(self, first_name: str = "Asha", *, balance: int = 0, last_name: str = "Rao") -> Signed:
        """A person who signed up just now and has `balance` paise."""
        return await sign_up_at(
            self.client, self.sessionmaker, balance=balance, first_name=first_name, last_name=last_name
        )

    async def shop(self, name: str = "Chai Point", *, timezone: str = "Asia/Kolkata", balance: int = 0) -> Signed:
        """A shop that signed up just now."""
        return await sign_up_at(
            self.client, self.sessionmaker, "merchant", balance=balance, business_name=name, timezone=timezone
        )


async def sign_up_at(
    client: httpx.AsyncClient, sessionmaker: SessionMaker, kind: str = "user", *, balance: int = 0, **names: str
) -> Signed:
    """Someone new at the app that this client calls: a `user` or a `merchant`, with `balance` paise."""
    email = f"{new_token(8).lower().strip('-_')}@example.com"
    body = {"email": email, "password": PASSWORD, "pin": PIN, **names}
    answer = await client.post(f"{API}/auth/register", json=body)
    client.cookies.clear()
    assert answer.status_code == httpx.codes.CREATED, answer.text
    signed = Signed(client, answer.json()[kind], answer.json()["token"])
    if balance:
        account_id = UUID((await signed.wallet())["account_id"])
        async with sessionmaker.begin() as session:
            await fund(session, account_id, balance)
    return signed


@contextmanager
def application(settings: Settings) -> Iterator[FastAPI]:
    """The app that these settings are for. What one needs is in its lifespan; its routes take longer to build than most
    tests to run, so an app that is no longer used serves the next test that asks for an equal one."""
    equal = next((number for number, (others, _) in enumerate(_idle) if others == settings), None)
    if equal is not None:
        app = _idle.pop(equal)[1]
    else:
        app = create_user_app(settings) if isinstance(settings, UserAppSettings) else create_merchant_app(settings)
    yield app
    _idle.append((settings.model_copy(), app))
    del _idle[:-_KEPT_APPLICATIONS]


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[RunningApp]:
    """The app that these settings are for, with its lifespan open, called without a socket."""
    with application(settings) as app:
        async with opened(app, "http://batua.test") as client:
            yield RunningApp(app, client, app.state.resources.sessionmaker)


@asynccontextmanager
async def opened(app: FastAPI, base_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of `app` while its lifespan is open."""
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=base_url) as client,
    ):
        yield client


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The body of an answer that must be this problem."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = dict(answer.json())
    assert body["code"] == code, body
    assert body["status"] == status
    return body
