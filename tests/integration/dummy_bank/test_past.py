"""Payments and payouts of the past get their lines in the bank's book, once, and nothing is told to the platform."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from shared.banks.messages import PayoutAnswer, SessionState, Statement
from shared.clock import rfc3339
from tests.support.simulated_bank import RETURN_URL, BankClient, Platform

LONG_AGO = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def payment(reference: str, *, at: datetime = LONG_AGO, **other: Any) -> dict[str, Any]:
    facts = {"reference": reference, "token": f"token-{reference}", "user_id": "user-1", "amount": 500_00}
    return (
        facts
        | {
            "return_url": RETURN_URL,
            "bank_reference": f"utr-{reference}",
            "status": "approved",
            "at": rfc3339(at),
        }
        | other
    )


def payout(reference: str, *, at: datetime = LONG_AGO, **other: Any) -> dict[str, Any]:
    facts = {"reference": reference, "account_number": "1234567890", "ifsc": "HDFC0000123", "amount": 200_00}
    return (
        facts
        | {
            "account_holder": "Asha Rao",
            "status": "SUCCESS",
            "utr": f"utr-{reference}",
            "at": rfc3339(at),
        }
        | other
    )


def enter(bank: BankClient, payments: list[dict[str, Any]], payouts: list[dict[str, Any]]) -> httpx.Response:
    return bank.http.post("/api/past", json={"payments": payments, "payouts": payouts})


def lines(bank: BankClient) -> list[tuple[datetime, str, int, str, int]]:
    statement = Statement.model_validate_json(bank.http.get("/api/statement").content)
    return [(each.at, each.direction, each.amount, each.reference, each.balance_after) for each in statement.items]


def test_lines_have_their_own_times_and_the_balance_runs_through_them(bank: BankClient, platform: Platform) -> None:
    later = LONG_AGO + timedelta(days=1)
    answer = enter(bank, [payment("in")], [payout("out", at=later)])
    assert (answer.status_code, answer.json()) == (200, {"added": 2})
    assert lines(bank) == [(LONG_AGO, "CREDIT", 500_00, "in", 500_00), (later, "DEBIT", 200_00, "out", 300_00)]
    assert platform.heard == []


def test_the_bank_knows_them_when_it_is_asked(hdfc: BankClient) -> None:
    enter(hdfc, [payment("in")], [payout("out"), payout("no", status="FAILED", utr=None, code="NAME_MISMATCH")])
    session = SessionState.model_validate_json(hdfc.http.get("/api/netbanking/sessions/token-in").content)
    assert (session.status, session.reference, session.amount) == ("approved", "in", 500_00)
    paid = PayoutAnswer.model_validate_json(hdfc.http.get("/api/transfers/out").content)
    assert (paid.status, paid.utr) == ("SUCCESS", "utr-out")
    refused = PayoutAnswer.model_validate_json(hdfc.http.get("/api/transfers/no").content)
    assert (refused.status, refused.code) == ("FAILED", "NAME_MISMATCH")


def test_a_repeat_adds_nothing(hdfc: BankClient) -> None:
    enter(hdfc, [payment("in")], [payout("out")])
    before = lines(hdfc)
    assert enter(hdfc, [payment("in")], [payout("out")]).json() == {"added": 0}
    assert lines(hdfc) == before


def test_declined_and_refused_ones_move_nothing_and_a_reversed_one_comes_back(hdfc: BankClient) -> None:
    back = LONG_AGO + timedelta(hours=2)
    returned = payout("returned", status="REVERSED", reversed_at=rfc3339(back))
    enter(hdfc, [payment("no", status="declined")], [payout("refused", status="FAILED", utr=None), returned])
    assert lines(hdfc) == [(LONG_AGO, "DEBIT", 200_00, "returned", -200_00), (back, "CREDIT", 200_00, "returned", 0)]


def test_all_or_nothing_is_entered(hdfc: BankClient) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    assert enter(hdfc, [payment("in")], [payout("out", at=tomorrow)]).status_code == 422
    taken = [payment("in"), payment("other", token="token-in")]
    assert enter(hdfc, taken, []).status_code == 409
    assert lines(hdfc) == []
    assert hdfc.http.get("/api/netbanking/sessions/token-in").status_code == 404
