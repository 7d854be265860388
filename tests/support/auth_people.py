"""The two apps as they run, and people who sign up at them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from shared.ids import new_token
from tests.support.apps import Settings, application, opened

PASSWORD, PIN = "correct horse", "4812"


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client that keeps no cookies of its own accord: each test says which it sends."""
    with application(settings) as app:
        async with opened(app, "http://batua.test/api/v1") as client:
            yield client


def new_email() -> str:
    return f"{new_token(9).lower().strip('-_')}x@example.com"


async def sign_up(client: httpx.AsyncClient, **other: Any) -> dict[str, Any]:
    body = {"email": new_email(), "password": PASSWORD, "pin": PIN, "first_name": "Alice", "last_name": "Rao"} | other
    response = await client.post("/auth/register", json=body)
    client.cookies.clear()
    assert response.status_code == 201, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def open_shop(client: httpx.AsyncClient, **other: Any) -> dict[str, Any]:
    body = {"email": new_email(), "password": PASSWORD, "pin": PIN, "business_name": "Chai Point"} | other
    response = await client.post("/auth/register", json=body)
    client.cookies.clear()
    assert response.status_code == 201, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def log_in(client: httpx.AsyncClient, email: str, password: str = PASSWORD) -> httpx.Response:
    response = await client.post("/auth/login", json={"email": email, "password": password})
    client.cookies.clear()
    return response


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def is_problem(response: httpx.Response, status: int, code: str) -> None:
    assert (response.status_code, response.json().get("code")) == (status, code), response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == status
    assert ("www-authenticate" in response.headers) is (status == 401)
