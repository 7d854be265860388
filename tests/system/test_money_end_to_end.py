"""Money in, across and out over HTTP, with copies of everything."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from redis import Redis

from infra.demo.actors import PIN, Holder, SimulatedBank, wait_for
from infra.local.secrets import read_secrets
from infra.local.stack import Stack
from shared import clock
from shared.banks.notices import PaymentNotice
from shared.banks.signatures import sign
from shared.banks.table import BANKS
from shared.ids import new_token
from tests.support.deadlines import deadline, patience
from tests.support.waiting import until_far_from_midnight

pytestmark = pytest.mark.xdist_group("system")


def until_settled(holder: Holder, on_ramp_id: str, *, seconds: float = 20) -> str:
    return wait_for(
        lambda: str(holder.get(f"/on-ramps/{on_ramp_id}")["status"]),
        lambda status: status != "pending",
        "the on-ramp settles",
        seconds=patience(seconds),
    )


def test_twenty_copies_of_a_transfer_move_money_once(person: Callable[..., Holder], prove: Callable[[], None]) -> None:
    asha, bela = person("Asha"), person("Bela")
    body = {"to": bela.wallet_id, "amount": 100_00, "pin": PIN}
    headers = {"Idempotency-Key": "the-same"}
    with ThreadPoolExecutor(20) as copies:
        answers = list(copies.map(lambda _: asha.request("POST", "/transfers", json=body, headers=headers), range(20)))
    counts = Counter(answer.status_code for answer in answers)
    assert counts[201] >= 1
    assert set(counts) <= {201, 409}
    assert len({answer.text for answer in answers if answer.status_code == 201}) == 1
    assert asha.balance()["balance"] == 900_00
    assert bela.balance()["balance"] == 1100_00
    prove()


def test_twenty_copies_of_a_webhook_credit_once(
    stack: Stack, bank: SimulatedBank, person: Callable[..., Holder], prove: Callable[[], None]
) -> None:
    asha = person()
    bank.misbehave(webhook_delay_ms=60_000)
    asked = asha.post("/on-ramps", {"bank": "hdfc", "amount": 250_00}, expect_status=201).json()
    bank.approve(asked["redirect_url"])
    token = asked["redirect_url"].rpartition("/")[2]
    session = bank.get(f"/api/netbanking/sessions/{token}")
    notice = PaymentNotice("hdfc", "success", token, session["user_id"], 250_00, session["bank_reference"])
    body = BANKS["hdfc"].encode(notice)
    secret = read_secrets(stack.layout.secrets_file)["BATUA_BANK_HDFC_WEBHOOK_SECRETS"]

    def deliver(number: int) -> httpx.Response:
        name = "msg_same" + new_token() if number % 2 else f"msg_{token}"
        headers = sign(secret, name, clock.now(), body) | {"content-type": "application/json"}
        return httpx.post(
            f"{stack.url('bank_webhook')}/webhooks/hdfc", content=body, headers=headers, timeout=deadline()
        )

    with ThreadPoolExecutor(20) as copies:
        answers = list(copies.map(deliver, range(20)))
    assert [answer.status_code for answer in answers] == [200] * 20, {answer.text for answer in answers}
    assert Counter(answer.json()["verdict"] for answer in answers) == {"settled": 1, "duplicate": 19}
    assert asha.balance()["balance"] == 1250_00
    prove()


def test_a_notice_that_never_comes_is_asked_for(bank: SimulatedBank, person: Callable[..., Holder]) -> None:
    asha = person()
    bank.misbehave(webhook_drop_rate=1.0)
    asked = asha.post("/on-ramps", {"bank": "hdfc", "amount": 250_00}, expect_status=201).json()
    bank.approve(asked["redirect_url"])
    assert until_settled(asha, asked["id"], seconds=40) == "success"
    assert asha.balance()["balance"] == 1250_00


def test_a_lying_notice_credits_nothing_and_the_truth_does(
    bank: SimulatedBank, person: Callable[..., Holder], prove: Callable[[], None]
) -> None:
    asha = person()
    bank.misbehave(webhook_wrong_amount_rate=1.0, webhook_bad_signature_rate=1.0, webhook_duplicate_rate=1.0)
    asked = asha.post("/on-ramps", {"bank": "hdfc", "amount": 250_00}, expect_status=201).json()
    bank.approve(asked["redirect_url"])
    assert until_settled(asha, asked["id"], seconds=40) == "success"
    assert asha.balance()["balance"] == 1250_00
    prove()


def test_axis_says_the_same_in_its_own_words(person: Callable[..., Holder], bank: SimulatedBank) -> None:
    asha = person()
    asked = asha.post("/on-ramps", {"bank": "axis", "amount": 99_99}, expect_status=201).json()
    bank.approve(asked["redirect_url"])
    assert until_settled(asha, asked["id"]) == "success"
    assert asha.balance()["balance"] == 1099_99


def test_a_declined_payment_changes_nothing(person: Callable[..., Holder]) -> None:
    asha = person()
    asked = asha.post("/on-ramps", {"bank": "hdfc", "amount": 99_99}, expect_status=201).json()
    form = {"customer_id": "demo", "password": "demo", "decision": "decline"}
    assert httpx.post(asked["redirect_url"], data=form).status_code == 303
    assert until_settled(asha, asked["id"]) == "failure"
    assert asha.balance()["balance"] == 1000_00


def test_a_bank_that_cannot_be_reached_is_said_so_and_the_key_is_free(
    bank: SimulatedBank, person: Callable[..., Holder]
) -> None:
    asha = person()
    bank.misbehave(down=True)
    body, headers = {"bank": "hdfc", "amount": 250_00}, {"Idempotency-Key": "again"}
    refused = asha.request("POST", "/on-ramps", json=body, headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (502, "bank_unavailable")
    banks = wait_for(
        lambda: {item["code"]: item["up"] for item in asha.get("/banks")["items"]},
        lambda up: not up["hdfc"],
        "the bank is shown as down",
        seconds=patience(),
    )
    assert banks["axis"]
    bank.misbehave()
    assert asha.request("POST", "/on-ramps", json=body, headers=headers).status_code == 201


def test_mail_is_delivered_for_what_happened(stack: Stack, person: Callable[..., Holder], bank: SimulatedBank) -> None:
    asha, bela = person("Asha"), person("Bela")
    asha.post("/transfers", {"to": bela.wallet_id, "amount": 12_34, "pin": PIN}, expect_status=201)

    def subjects() -> list[str]:
        files = [path.read_text(encoding="utf-8", errors="replace") for path in stack.layout.mail.glob("*.eml")]
        return [text for text in files if bela.profile["email"] in text]

    mails = wait_for(subjects, lambda found: len(found) >= 2, "a welcome and a receipt", seconds=patience(90))
    assert len(mails) == 2


def test_the_shop_sees_what_came_in_today(person: Callable[..., Holder], shop: Holder) -> None:
    until_far_from_midnight()
    asha = person()
    paid = asha.post("/transfers", {"to": shop.wallet_id, "amount": 300_00, "pin": PIN}, expect_status=201).json()
    assert paid["kind"] == "payment"
    assert shop.get("/inflow/summary")["today"]["amount"] == 300_00
    assert shop.get("/inflow/daily")["items"][-1]["amount"] == 300_00
    assert shop.get("/inflow/monthly")["items"][-1]["count"] == 1
    assert shop.get("/transactions")["items"][0]["counterparty"]["wallet_id"] == asha.wallet_id


def test_services_killed_in_the_middle_of_everything_lose_nothing(
    stack: Stack, person: Callable[..., Holder], prove: Callable[[], None]
) -> None:
    asha, bela = person("Asha"), person("Bela")

    def pay(number: int) -> int:
        body = {"to": bela.wallet_id, "amount": 1_00, "pin": PIN}
        ends_at = time.monotonic() + patience(60)
        while time.monotonic() < ends_at:  # what a phone does: the same request with the same key until it is answered
            try:
                answer = asha.request("POST", "/transfers", json=body, headers={"Idempotency-Key": f"k{number}"})
            except httpx.TransportError:
                time.sleep(0.2)
                continue
            if answer.status_code == 201:
                return answer.status_code
            assert answer.status_code in {409, 503}, answer.text
            time.sleep(0.2)
        return 0

    with ThreadPoolExecutor(12) as phones:
        answers = [phones.submit(pay, number) for number in range(60)]
        for service in ("user_app", "postgres"):
            pid = stack.kill(service)
            stack.wait_until_back(service, after_pid=pid, seconds=patience(60))
        # Keys that were in flight in the killed process would stay so in Redis for half a minute.
        redis = Redis.from_url(stack.environment()["BATUA_REDIS_URL"])
        redis.flushall()
        redis.close()
        assert {answer.result() for answer in answers} == {201}
    assert asha.balance()["balance"] == 940_00
    assert bela.balance()["balance"] == 1060_00
    prove()
