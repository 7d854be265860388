"""An owner reads and moves only what is theirs, and a token is valid only in the app that issued it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import httpx
import pytest

from infra.demo.actors import PIN, Holder
from infra.local.stack import Stack
from shared.ids import new_id

pytestmark = pytest.mark.xdist_group("system")


def test_what_belongs_to_others_does_not_exist(person: Callable[..., Holder]) -> None:
    asha, bela, mallory = person("Asha"), person("Bela"), person("Mallory")
    transfer = asha.post("/transfers", {"to": bela.wallet_id, "amount": 1_00, "pin": PIN}, expect_status=201).json()
    on_ramp = asha.post("/on-ramps", {"bank": "hdfc", "amount": 1_00}, expect_status=201).json()
    pot = asha.request("POST", "/accounts", json={"name": "Goa"}).json()
    withdrawal = asha.post(
        "/withdrawals",
        {
            "bank": "hdfc",
            "account_number": "50100012345678",
            "ifsc": "HDFC0000123",
            "account_holder": "Asha Rao",
            "amount": 1_00,
            "pin": PIN,
        },
        expect_status=202,
    ).json()
    assert withdrawal["account_number"] == "XXXXXX5678"
    paths = [
        f"/transfers/{transfer['id']}",
        f"/on-ramps/{on_ramp['id']}",
        f"/withdrawals/{withdrawal['id']}",
        f"/accounts/{pot['id']}",
        f"/accounts/{pot['id']}/balance",
        f"/accounts/{new_id()}",
    ]
    for path in paths:
        refused = mallory.request("GET", path)
        assert (refused.status_code, refused.headers["content-type"]) == (404, "application/problem+json"), path
    assert mallory.request("POST", f"/withdrawals/{withdrawal['id']}/cancel").status_code == 404
    stolen = {"to": mallory.wallet_id, "amount": 1, "pin": PIN, "from_account": pot["id"]}
    refused = mallory.request("POST", "/transfers", json=stolen, headers={"Idempotency-Key": "k"})
    assert refused.status_code == 404
    assert bela.get(f"/transfers/{transfer['id']}")["balance_after"] == bela.balance()["balance"]
    for listing in ("/on-ramps", "/withdrawals", "/transactions"):
        assert all(item.get("kind") == "funding" for item in mallory.get(listing)["items"])


def unsigned(token: str) -> str:
    header, payload, _ = token.split(".")
    forged = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "JWT"}).encode()).decode().rstrip("=")
    assert header != forged
    return f"{forged}.{payload}."


def tampered(token: str) -> str:
    header, payload, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    claims["sub"] = str(new_id())
    changed = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"{header}.{changed}.{signature}"


@pytest.mark.parametrize(
    "forge", [unsigned, tampered, lambda _: "nonsense", lambda _: "x.y.z", lambda token: token[:-2]]
)
def test_a_forged_token_is_refused(forge: Callable[[str], str], stack: Stack, person: Callable[..., Holder]) -> None:
    headers = {"Authorization": f"Bearer {forge(person().token)}"}
    answer = httpx.get(f"{stack.url('user_app')}/api/v1/wallet", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json()["status"] == 401


def test_a_token_is_good_in_its_own_app_only(stack: Stack, person: Callable[..., Holder], shop: Holder) -> None:
    for service, token in (("user_app", shop.token), ("merchant_app", person().token)):
        headers = {"Authorization": f"Bearer {token}"}
        assert httpx.get(f"{stack.url(service)}/api/v1/wallet", headers=headers).status_code == 401


def test_sign_in_does_not_tell_who_is_registered(stack: Stack, person: Callable[..., Holder]) -> None:
    known = {"email": person().profile["email"], "password": "not the password"}
    unknown = {"email": f"{new_id()}@example.com", "password": "not the password"}
    url = f"{stack.url('user_app')}/api/v1/auth/login"
    one, other = httpx.post(url, json=known), httpx.post(url, json=unknown)
    assert one.status_code == other.status_code == 401
    assert one.json() == other.json()


@pytest.mark.parametrize("service", ["user_app", "merchant_app", "bank_webhook", "dummy_bank"])
@pytest.mark.parametrize(("method", "path", "expected"), [("GET", "/nowhere", 404), ("DELETE", "/healthz", 405)])
def test_every_error_is_a_problem(stack: Stack, service: str, method: str, path: str, expected: int) -> None:
    answer = httpx.request(method, stack.url(service) + path)
    assert answer.status_code == expected
    assert answer.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "status", "detail", "code"} <= answer.json().keys()


@pytest.mark.parametrize(
    ("content", "content_type", "expected"),
    [
        (b"{", "application/json", 400),
        (b'{"to": "x@batua", "amount": 1, "pin": "4812", "surprise": 1}', "application/json", 422),
        (b'{"to": "x@batua", "amount": "1", "pin": "4812"}', "application/json", 422),
        (b'{"to": "x@batua", "amount": 1.5, "pin": "4812"}', "application/json", 422),
        (b'{"to": "x@batua", "amount": 1e400, "pin": "4812"}', "application/json", 422),
        (b'{"to": "x@batua", "amount": ' + b"9" * 400 + b', "pin": "4812"}', "application/json", 422),
        (b'{"to": "x\\u0000@batua", "amount": 1, "pin": "4812"}', "application/json", 422),
        (b'{"to": "\\ud800", "amount": 1, "pin": "4812"}', "application/json", 422),
        (b"[]", "application/json", 422),
        (b"null", "application/json", 422),
        (b"[" * 20000, "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b'{"to": "x@batua", "amount": 1, "pin": "4812"}', "text/plain", 415),
        (b" " * 70_000, "application/json", 413),
    ],
    ids=lambda value: str(value[:60]) if isinstance(value, bytes) else None,
)
def test_bad_bodies_get_a_clear_refusal(
    person: Callable[..., Holder], content: bytes, content_type: str, expected: int
) -> None:
    headers = {"Idempotency-Key": "k", "Content-Type": content_type}
    answer = person().request("POST", "/transfers", content=content, headers=headers)
    assert answer.status_code == expected, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
