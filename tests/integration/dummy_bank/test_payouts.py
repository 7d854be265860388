"""Money out, and every way in which a bank can make it hard."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from services.dummy_bank.call_log import CallLog
from services.dummy_bank.settings import BankSimulatorSettings
from shared.banks.messages import PayoutAnswer, Statement
from shared.banks.notices import PayoutNotice
from shared.clock import rfc3339
from tests.support.deadlines import deadline
from tests.support.simulated_bank import BankClient, Platform
from tests.support.waiting import eventually


def outcomes(bank: BankClient) -> list[str]:
    return [call["outcome"] for call in bank.items("calls")]


def test_a_payout_leaves_the_nodal_account_and_is_in_the_call_log(bank: BankClient) -> None:
    answer = bank.pay(amount=500, user_ref="user-1")
    paid = PayoutAnswer.model_validate_json(answer.content)
    assert (answer.status_code, paid.status, paid.amount) == (200, "SUCCESS", 500)
    statement = Statement.model_validate_json(bank.http.get("/api/statement").content)
    [line] = statement.items
    assert (line.direction, line.amount, line.reference, line.utr) == ("DEBIT", 500, "payout-1", paid.utr)
    assert line.balance_after == -500
    [call] = CallLog.model_validate_json(bank.http.get("/api/calls").content).items
    assert (call.reference, call.user_ref, call.amount, call.outcome) == ("payout-1", "user-1", 500, "success")
    assert call.ended_at is not None
    assert call.ended_at >= call.started_at
    told = {
        "user_ref": "user-1",
        "account_number": "XXXXXX7890",
        "account_holder": "Alice Fernandes",
        "ifsc": "ICIC0001234",
    }
    assert bank.http.get("/api/transfers/payout-1").json() == answer.json() | told


def test_without_a_user_the_account_number_stands_in(hdfc: BankClient) -> None:
    hdfc.pay()
    assert hdfc.items("calls")[0]["user_ref"] == "1234567890"


def test_an_unknown_reference_is_not_found(hdfc: BankClient) -> None:
    answer = hdfc.http.get("/api/transfers/never")
    assert (answer.status_code, answer.json()["code"]) == (404, "TRANSFER_NOT_FOUND")


def test_a_repeated_reference_pays_once_and_is_answered_the_same(hdfc: BankClient) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: hdfc.pay().json(), range(8)))
    assert all(answer == answers[0] for answer in answers)
    assert len(hdfc.paid_out("payout-1")) == 1
    assert hdfc.pay(amount=501).status_code == 409


def test_with_idempotency_off_every_call_pays_again(hdfc: BankClient) -> None:
    hdfc.faults(idempotency=False)
    assert len({hdfc.pay().json()["utr"] for _ in range(3)}) == 3
    assert len(hdfc.paid_out("payout-1")) == 3


def test_the_two_banks_have_a_book_each(bank_url: str, hdfc: BankClient) -> None:
    hdfc.pay()
    hdfc.faults(down=True)
    other = httpx.get(f"{bank_url}/axis/api/statement", headers={"x-api-key": "axis-key-of-these-tests"})
    assert other.json()["items"] == []
    assert httpx.get(f"{bank_url}/axis/api/ping", headers=dict(other.request.headers)).status_code == 200


def test_a_bank_that_is_down_does_nothing_and_says_so(hdfc: BankClient, platform: Platform) -> None:
    token = hdfc.open_session()
    hdfc.faults(down=True)
    answers = [
        hdfc.http.get("/api/ping"),
        hdfc.pay(),
        hdfc.http.get("/api/transfers/payout-1"),
        hdfc.http.get(f"/api/netbanking/sessions/{token}"),
    ]
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(503, "BANK_DOWN")] * 4
    assert answers[0].headers["retry-after"]
    assert hdfc.browser.get(f"/netbanking/{token}").status_code == 503
    hdfc.faults()
    assert hdfc.http.get("/api/transfers/payout-1").status_code == 404
    assert hdfc.items("statement") == []
    assert outcomes(hdfc) == ["bank_down"]
    assert platform.heard == []


def test_an_error_comes_before_the_work(hdfc: BankClient) -> None:
    hdfc.faults(error_rate=1)
    assert hdfc.pay().status_code == 500
    assert hdfc.http.get("/api/transfers/payout-1").status_code == 500
    hdfc.faults()
    assert hdfc.http.get("/api/transfers/payout-1").status_code == 404
    assert outcomes(hdfc) == ["internal_error"]


def test_a_refusal_is_final_and_moves_nothing(hdfc: BankClient) -> None:
    hdfc.faults(refuse_rate=1)
    refusal = hdfc.pay()
    assert refusal.status_code == 422
    assert refusal.json()["code"] in {"ACCOUNT_CLOSED", "ACCOUNT_NOT_FOUND", "NAME_MISMATCH"}
    hdfc.faults()
    assert hdfc.pay().json()["code"] == refusal.json()["code"]
    found = hdfc.http.get("/api/transfers/payout-1").json()
    assert (found["status"], found["code"]) == ("FAILED", refusal.json()["code"])
    assert hdfc.items("statement") == []


def test_a_timeout_comes_after_the_work_and_the_call_ends_when_the_caller_leaves(
    hdfc: BankClient, settings: BankSimulatorSettings
) -> None:
    hdfc.faults(timeout_after_rate=1)
    with pytest.raises(httpx.ReadTimeout):
        hdfc.pay(timeout=httpx.Timeout(deadline(), read=deadline(1)))
    assert hdfc.http.get("/api/transfers/payout-1").json()["status"] == "SUCCESS"
    assert len(hdfc.paid_out("payout-1")) == 1
    eventually(lambda: outcomes(hdfc) == ["timeout_after_work"])
    [call] = CallLog.model_validate_json(hdfc.http.get("/api/calls").content).items
    assert call.ended_at is not None
    hang = timedelta(seconds=settings.hang_seconds)
    assert timedelta(seconds=0.25) < call.ended_at - call.started_at < hang


def test_latency_is_at_least_the_fixed_part_and_the_payout_is_under_way_meanwhile(hdfc: BankClient) -> None:
    latency_ms = round(deadline(1) * 1000)
    hdfc.faults(latency_ms=latency_ms, latency_tail_ms=100)
    with ThreadPoolExecutor(1) as pool:
        paying = pool.submit(hdfc.pay)
        eventually(lambda: hdfc.items("calls"))
        assert hdfc.items("statement") == []
        assert hdfc.http.get("/api/transfers/payout-1").json()["status"] in {"PROCESSING", "SUCCESS"}
        assert paying.result().json()["status"] == "SUCCESS"
    [call] = CallLog.model_validate_json(hdfc.http.get("/api/calls").content).items
    assert call.ended_at is not None
    assert call.ended_at - call.started_at >= timedelta(milliseconds=latency_ms)


def test_calls_for_different_people_overlap(hdfc: BankClient) -> None:
    hdfc.faults(hold_at="before_work")
    with ThreadPoolExecutor(5) as pool:
        paying = [pool.submit(hdfc.pay, f"payout-{n}", user_ref=f"user-{n}") for n in range(5)]
        eventually(lambda: len(hdfc.items("calls")) == 5)
        hdfc.faults()
        assert {future.result().status_code for future in paying} == {200}
    calls = CallLog.model_validate_json(hdfc.http.get("/api/calls").content).items
    assert max(call.started_at for call in calls) < min(call.ended_at or call.started_at for call in calls)


def test_an_asynchronous_payout_is_told_later(bank: BankClient, platform: Platform) -> None:
    bank.faults(async_rate=1, async_delay_ms=round(deadline(1) * 1000))
    answer = bank.pay()
    assert (answer.status_code, answer.json()["status"]) == (202, "PROCESSING")
    assert bank.items("statement") == []
    assert bank.pay().status_code == 202
    notice = eventually(lambda: platform.heard)[0].notice
    [line] = bank.paid_out("payout-1")
    assert notice == PayoutNotice(bank.code, "success", "payout-1", line["utr"], 500, None)
    assert bank.http.get("/api/transfers/payout-1").json()["status"] == "SUCCESS"


def test_an_asynchronous_refusal_is_told_later(hdfc: BankClient, platform: Platform) -> None:
    hdfc.faults(async_rate=1, refuse_rate=1)
    answer = hdfc.pay()
    assert (answer.status_code, answer.json()["code"]) == (202, None)
    notice = eventually(lambda: platform.heard)[0].notice
    assert isinstance(notice, PayoutNotice)
    assert notice.event == "failure"
    assert notice.reason in {"ACCOUNT_CLOSED", "ACCOUNT_NOT_FOUND", "NAME_MISMATCH"}
    assert hdfc.items("statement") == []


def test_a_payout_may_come_back_later(hdfc: BankClient, platform: Platform) -> None:
    hdfc.faults(reversal_rate=1)
    utr = hdfc.pay().json()["utr"]
    notice = eventually(lambda: platform.heard)[0].notice
    assert notice == PayoutNotice("hdfc", "reversed", "payout-1", utr, 500, "RETURNED")
    directions = [(line["direction"], line["balance_after"]) for line in hdfc.paid_out("payout-1")]
    assert directions == [("DEBIT", -500), ("CREDIT", 0)]
    assert hdfc.http.get("/api/transfers/payout-1").json()["status"] == "REVERSED"


@pytest.mark.parametrize(("point", "lines"), [("before_work", 0), ("after_work", 1)])
def test_a_call_can_be_held_at_a_chosen_point(hdfc: BankClient, point: str, lines: int) -> None:
    hdfc.faults(hold_at=point)
    with ThreadPoolExecutor(1) as pool:
        paying = pool.submit(hdfc.pay)
        eventually(lambda: len(hdfc.items("calls")) == 1 and len(hdfc.items("statement")) == lines)
        assert outcomes(hdfc) == ["answering"]
        assert hdfc.http.get("/api/transfers/payout-1").status_code == (200 if lines else 404)
        hdfc.faults()
        assert paying.result().json()["status"] == "SUCCESS"
    assert len(hdfc.items("statement")) == 1


def test_a_caller_who_leaves_while_held_before_the_work_is_not_paid_for(hdfc: BankClient) -> None:
    hdfc.faults(hold_at="before_work")
    with pytest.raises(httpx.ReadTimeout):
        hdfc.pay(timeout=httpx.Timeout(deadline(), read=deadline(1)))
    eventually(lambda: outcomes(hdfc) == ["held_before_work"])
    hdfc.faults()
    assert hdfc.http.get("/api/transfers/payout-1").status_code == 404


def fates(bank: BankClient, run: str, seed: int) -> list[int]:
    bank.faults(seed=seed, error_rate=0.3, refuse_rate=0.4, async_rate=0.3, async_delay_ms=60_000)
    return [bank.pay(f"payout-{run}-{number}").status_code for number in range(30)]


def test_the_same_seed_repeats_the_same_run(hdfc: BankClient) -> None:
    first = fates(hdfc, "a", seed=7)
    assert {200, 202, 422, 500} == set(first)
    assert fates(hdfc, "b", seed=7) == first
    assert fates(hdfc, "c", seed=8) != first


def test_a_range_takes_in_its_start_and_not_its_end(hdfc: BankClient) -> None:
    hdfc.pay("payout-1")
    hdfc.pay("payout-2")
    first, second = (line["at"] for line in hdfc.items("statement"))
    assert [line["reference"] for line in hdfc.items("statement", to=second)] == ["payout-1"]
    assert [line["reference"] for line in hdfc.items("statement", **{"from": second})] == ["payout-2"]
    later = rfc3339(datetime.now(UTC) + timedelta(minutes=1))
    assert hdfc.items("calls", **{"from": later}) == []
    assert len(hdfc.items("calls", **{"from": first[:10] + "T00:00:00+05:30"})) == 2
