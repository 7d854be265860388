"""What a transfer needs to know comes with one question, and refusals keep their order."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from shared.db.gather import Gather
from shared.ids import new_id
from tests.support.apps import API, PIN, RunningApp, Signed, problem


@pytest.fixture
async def pin_token(asha: Signed) -> str:
    return str((await asha.post("/auth/pin", key=None, pin=PIN)).json()["pin_token"])


@pytest.fixture
def asked(user_app: RunningApp, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How many questions of each kind were asked since."""
    count: Counter[str] = Counter()
    resources = user_app.app.state.resources
    for name in ("sessions", "senders"):
        desk: Gather[Any, Any] = getattr(resources, name)._gather

        async def counting(question: Any, owner_id: Any, name: str = name, ask: Any = desk.ask) -> Any:
            count[name] += 1
            return await ask(question, owner_id)

        monkeypatch.setattr(desk, "ask", counting)
    return count


async def test_one_question_tells_all(asha: Signed, ravi: Signed, pin_token: str, asked: Counter[str]) -> None:
    headers = {"X-Pin-Token": pin_token}
    sent = await asha.post("/transfers", headers=headers, to=f" {ravi.wallet_id.upper()} ", amount=100)
    assert (sent.status_code, sent.json()["to"]["wallet_id"]) == (201, ravi.wallet_id)
    assert asked == {"senders": 1}


async def test_every_request_with_a_pin_token_asks_once(
    asha: Signed, ravi: Signed, pin_token: str, asked: Counter[str]
) -> None:
    headers = {"X-Pin-Token": pin_token}
    many = await asha.post("/transfers/bulk", headers=headers, items=[{"to": ravi.wallet_id, "amount": 100}])
    assert (many.status_code, asked) == (200, {"senders": 1}), many.text
    asked.clear()
    account: dict[str, Any] = {"bank": "hdfc", "account_number": "123456781234", "ifsc": "HDFC0000001"}
    out = await asha.post("/withdrawals", headers=headers, **account, account_holder="Asha Rao", amount=100)
    assert (out.status_code, asked) == (202, {"senders": 1}), out.text


async def test_a_pot_is_found_too(asha: Signed, pin_token: str) -> None:
    headers = {"X-Pin-Token": pin_token}
    pot = (await asha.post("/accounts", key=None, name="Goa")).json()
    wallet = await asha.wallet()
    into = await asha.post("/transfers", headers=headers, to=pot["id"].upper(), amount=300)
    assert (into.status_code, into.json()["balance_after"]) == (201, wallet["balance"] - 300), into.text
    back = await asha.post("/transfers", headers=headers, to=asha.wallet_id, from_account=pot["id"], amount=100)
    assert (back.status_code, back.json()["balance_after"]) == (201, 200), back.text
    assert (await asha.wallet())["balance"] == wallet["balance"] - 200


@pytest.mark.parametrize("amount", [100, 0])
async def test_an_account_of_another_owner_is_not_found(
    asha: Signed, ravi: Signed, pin_token: str, amount: int
) -> None:
    headers = {"X-Pin-Token": pin_token}
    theirs = (await ravi.wallet())["account_id"]
    for to, source, code, status in (
        (theirs, None, "recipient_not_found", 404),
        (str(new_id()), None, "recipient_not_found", 404),
        (ravi.wallet_id, theirs, "account_not_found", 404),
        (theirs, theirs, "account_not_found", 404),
        ("no-one@batua", None, "recipient_not_found", 404),
    ):
        answer = await asha.post("/transfers", headers=headers, to=to, from_account=source, amount=amount)
        problem(answer, status if amount else 422, code if amount else "invalid_request")


@pytest.mark.parametrize(
    "body", [{}, {"to": 5}, {"to": "\x00@batua"}, {"to": "\ud800"}, {"to": ["a@batua"]}, {"to": "x" * 9000}]
)
async def test_the_caller_is_refused_before_the_body(asha: Signed, pin_token: str, body: dict[str, Any]) -> None:
    headers = {"X-Pin-Token": pin_token}
    problem(await asha.post("/transfers", headers=headers, **body), 422, "invalid_request")
    problem(await asha.post("/transfers", key=None, headers=headers, **body), 400, "idempotency_key_missing")
    assert (await asha.client.post(f"{API}/auth/logout", headers=asha._headers())).status_code == 204
    problem(await asha.post("/transfers", key=None, headers=headers, **body), 401, "token_revoked")


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b'"ravi@batua"', b"5"])
async def test_a_body_that_is_no_object_is_refused_after_the_caller(asha: Signed, content: bytes) -> None:
    headers = {"Content-Type": "application/json", "Idempotency-Key": "k"}
    for authorization, status, code in (
        ({}, 401, "authentication_required"),
        (asha._headers(), 422, "invalid_request"),
    ):
        answer = await asha.client.post(f"{API}/transfers", content=content, headers=headers | authorization)
        problem(answer, status, code)
