"""JSON can say half of a surrogate pair, which no text has: every text field of every route refuses it, by its name."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from shared.http.fields import HALF_A_CHARACTER
from shared.ids import new_id
from tests.support.apps import PASSWORD, PIN, RunningApp, Signed

HALVES = ("\ud800", "half \udfff")
COMPARED = {"current_password"}
"""Passwords to compare: one that no password can be is a wrong one."""

Path = tuple[str | int, ...]


def bodies(app: FastAPI) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every route that takes JSON, with a body that it accepts."""
    contract = app.openapi()
    for path, methods in contract["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if content is None:
                continue
            schema = contract["components"]["schemas"][content["schema"]["$ref"].rpartition("/")[2]]
            names = [name for name, field in schema["properties"].items() if "string" in json.dumps(field)]
            example: dict[str, Any] = dict.fromkeys(names, "text")
            for given in schema.get("examples", []):
                example |= given
            yield method.upper(), path.replace("{transaction_id}", str(new_id())), example


def texts(value: Any, place: Path = ()) -> Iterator[Path]:
    if isinstance(value, str):
        yield place
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in inside:
        yield from texts(inner, (*place, name))


def with_half(body: dict[str, Any], place: Path, half: str) -> dict[str, Any]:
    changed: Any = copy.deepcopy(body)
    holder = changed
    for name in place[:-1]:
        holder = holder[name]
    holder[place[-1]] = half
    return dict(changed)


async def call(who: Signed, method: str, path: str, body: Any) -> httpx.Response:
    headers = {"Content-Type": "application/json", "Idempotency-Key": str(new_id())}
    headers["Authorization"] = f"Bearer {who.token}"
    who.client.cookies.clear()
    return await who.client.request(method, path, content=json.dumps(body), headers=headers)


def says_nothing_of_codecs(answer: httpx.Response) -> None:
    for words in ("codec", "utf-8", "utf8", "unicode", "encode", "parse raw", "\\ud"):
        assert words not in answer.text.lower(), answer.text


async def refused_by_its_name(running: RunningApp, who: Signed) -> int:
    """How many fields were tried."""
    tried = 0
    for method, path, body in bodies(running.app):
        for place in texts(body):
            if place[-1] in COMPARED or (path.endswith("/auth/login") and place == ("password",)):
                continue
            for half in HALVES:
                answer = await call(who, method, path, with_half(body, place, half))
                name = ".".join(map(str, place))
                assert answer.status_code == 422, (path, name, answer.text)
                assert name in {each["field"] for each in answer.json()["errors"]}, (path, name, answer.text)
                says_nothing_of_codecs(answer)
                tried += 1
    return tried


async def test_a_person_hears_which_field_holds_half_a_character(user_app: RunningApp, asha: Signed) -> None:
    assert await refused_by_its_name(user_app, asha) > 30


async def test_a_shop_hears_which_field_holds_half_a_character(merchant_app: RunningApp, shop: Signed) -> None:
    assert await refused_by_its_name(merchant_app, shop) > 20


async def test_a_field_whose_name_is_half_a_character_is_unknown(user_app: RunningApp, asha: Signed) -> None:
    for method, path, body in bodies(user_app.app):
        answer = await call(asha, method, path, body | {"\ud800": "\ud800"})
        assert answer.status_code == 422, (path, answer.text)
        says_nothing_of_codecs(answer)


async def test_text_and_secrets_say_what_is_wrong(asha: Signed) -> None:
    sent = await asha.send("bob@batua", 100, note="half \ud800")
    assert sent.json()["errors"] == [{"field": "note", "message": HALF_A_CHARACTER}]
    changed = await call(
        asha, "PATCH", "/api/v1/users/me", {"current_password": PASSWORD, "new_password": "half a pair \ud800"}
    )
    assert changed.json()["errors"] == [{"field": "new_password", "message": HALF_A_CHARACTER}]
    pin = await call(asha, "PATCH", "/api/v1/users/me", {"current_password": "\ud800", "new_pin": PIN})
    assert pin.status_code == 403, pin.text


@pytest.mark.parametrize(("name", "length"), [("first_name", 101), ("last_name", 3000)])
async def test_a_length_is_said_in_characters_with_the_name_of_the_field(asha: Signed, name: str, length: int) -> None:
    answer = await call(asha, "PATCH", "/api/v1/users/me", {name: "क" * length})
    assert answer.json()["errors"] == [{"field": name, "message": f"{name} must have at most 100 characters"}]
    fits = await call(asha, "PATCH", "/api/v1/users/me", {name: "क" * 100})
    assert fits.status_code == 200, fits.text


async def test_a_password_has_72_characters_of_any_script(user_app: RunningApp, asha: Signed) -> None:
    for password, status in (("नमस्ते दुनिया " + "प" * 58, 200), ("प" * 73, 422), ("प" * 7, 422)):
        body = {"current_password": PASSWORD, "new_password": password}
        answer = await call(asha, "PATCH", "/api/v1/users/me", body)
        assert answer.status_code == status, answer.text
        if status == 422:
            message = "must have 8 to 72 characters"
            assert answer.json()["errors"] == [{"field": "new_password", "message": message}]
        else:
            await call(asha, "PATCH", "/api/v1/users/me", {"current_password": password, "new_password": PASSWORD})
