"""What holds for every route: keys, limits, errors."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.simulated_bank import KEYS, BankClient

KEYED = [
    ("GET", "/api/ping"),
    ("POST", "/api/netbanking/sessions"),
    ("GET", "/api/netbanking/sessions/t"),
    ("POST", "/api/transfers"),
    ("GET", "/api/transfers/r"),
    ("GET", "/api/statement"),
    ("GET", "/api/calls"),
    ("GET", "/api/faults"),
    ("PUT", "/api/faults"),
    ("GET", "/api/notices"),
    ("POST", "/api/notices/m/resend"),
    ("POST", "/api/past"),
]


@pytest.mark.parametrize(("method", "path"), KEYED)
def test_without_the_banks_key_nothing_is_answered(hdfc: BankClient, method: str, path: str) -> None:
    body: dict[str, Any] = {"json": {}} if method in ("POST", "PUT") and "resend" not in path else {}
    for key in (None, "", "wrong", KEYS["axis"], "é"):
        headers = {} if key is None else {b"x-api-key": key.encode()}
        answer = hdfc.browser.request(method, path, headers=headers, **body)
        assert answer.status_code == 401, key
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["www-authenticate"]
        assert answer.json()["code"] == "API_KEY_INVALID"


def test_an_unknown_bank_or_path_or_method_has_its_own_answer(bank_url: str, hdfc: BankClient) -> None:
    assert httpx.get(f"{bank_url}/sbi/api/ping").status_code == 404
    assert httpx.get(f"{bank_url}/sbi/netbanking/x").status_code == 404
    assert hdfc.http.get("/api/nothing").json()["code"] == "NOT_FOUND"
    wrong_method = hdfc.http.delete("/api/transfers")
    assert (wrong_method.status_code, wrong_method.headers["allow"]) == (405, "POST")
    assert wrong_method.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"{", 400),
        (b"\xff", 400),
        (b"[]", 422),
        (b"[" * 20_000, 400),
        (b'{"amount": 1e999}', 422),
        (b'{"amount": ' + b"9" * 5000 + b"}", 400),
        (b'{"reference": "\\ud800"}', 422),
        (b" " * 70_000, 413),
    ],
    ids=lambda value: str(value[:40]) if isinstance(value, bytes) else None,
)
def test_unfit_bodies_get_a_clear_4xx(hdfc: BankClient, body: bytes, status: int) -> None:
    answer = hdfc.http.post("/api/transfers", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert hdfc.items("calls") == []


def test_a_body_without_a_declared_length_is_limited_too(hdfc: BankClient) -> None:
    answer = hdfc.http.post("/api/transfers", content=(b" " * 10_000 for _ in range(10)))
    assert answer.status_code == 413


def test_an_unknown_field_is_named(hdfc: BankClient) -> None:
    answer = hdfc.http.put("/api/faults", json={"surprise": 1})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "surprise"


def test_putting_faults_replaces_them_all(hdfc: BankClient) -> None:
    hdfc.faults(error_rate=0.5, idempotency=False, seed=3)
    hdfc.faults(seed=4)
    chosen = hdfc.http.get("/api/faults").json()
    assert (chosen["seed"], chosen["error_rate"], chosen["idempotency"]) == (4, 0, True)


@pytest.mark.parametrize(
    "moment", ["yesterday", "0.5", "1790000000", "2026-10-16T00:00:00", "0001-01-01T00:00:00+05:30"]
)
def test_an_unfit_range_is_refused(hdfc: BankClient, moment: str) -> None:
    assert hdfc.http.get("/api/statement", params={"from": moment}).status_code == 422


def test_it_is_up_ready_and_counted(bank_url: str, hdfc: BankClient) -> None:
    hdfc.pay()
    assert httpx.get(f"{bank_url}/healthz").json() == {"status": "ok"}
    assert httpx.get(f"{bank_url}/readyz").json()["checks"] == {"database": "ok"}
    counted = httpx.get(f"{bank_url}/metrics").text
    assert 'dummy_bank_payout_calls_total{bank="hdfc",outcome="success"} 1.0' in counted


def test_a_request_id_is_echoed_or_made(bank_url: str) -> None:
    given = httpx.get(f"{bank_url}/healthz", headers={"x-request-id": "abc-1"})
    assert given.headers["x-request-id"] == "abc-1"
    made = httpx.get(f"{bank_url}/healthz", headers={"x-request-id": "bad id"})
    assert len(made.headers["x-request-id"]) == 36
