"""What can happen to a notice on its way, and that the truth arrives in the end unless it is dropped."""

from __future__ import annotations

import time

import pytest

from services.dummy_bank import notice_queue
from shared.banks.notices import PaymentNotice
from tests.support.deadlines import deadline
from tests.support.simulated_bank import BankClient, Heard, Platform
from tests.support.waiting import eventually


def deliver_one(bank: BankClient, reference: str = "onramp-1") -> str:
    token = bank.open_session(reference)
    assert bank.decide(token).status_code == 303
    return token


def token_of(heard: Heard) -> str:
    assert isinstance(heard.notice, PaymentNotice)
    return heard.notice.token


def all_settled(bank: BankClient) -> bool:
    return all(item["status"] != "pending" for item in bank.items("notices"))


def test_a_duplicate_has_the_same_id_and_the_same_words(bank: BankClient, platform: Platform) -> None:
    bank.faults(webhook_duplicate_rate=1)
    deliver_one(bank)
    eventually(lambda: len(platform.heard) == 2)
    first, second = platform.heard
    assert (first.message_id, first.notice) == (second.message_id, second.notice)


def test_a_delayed_notice_comes_later(hdfc: BankClient, platform: Platform) -> None:
    hdfc.faults(webhook_delay_ms=500)
    began = time.monotonic()
    deliver_one(hdfc)
    eventually(lambda: platform.heard)
    assert time.monotonic() - began > 0.4


def test_a_reordered_notice_is_overtaken_by_the_next(
    hdfc: BankClient, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notice_queue, "OVERTAKEN_SECONDS", deadline(60))
    hdfc.faults(webhook_reorder_rate=1)
    first = deliver_one(hdfc, "onramp-1")
    hdfc.faults()
    second = deliver_one(hdfc, "onramp-2")
    eventually(lambda: len(platform.heard) == 2)
    assert [token_of(heard) for heard in platform.heard] == [second, first]


def test_a_reordered_notice_does_not_wait_for_ever(hdfc: BankClient, platform: Platform) -> None:
    hdfc.faults(webhook_reorder_rate=1)
    deliver_one(hdfc)
    eventually(lambda: platform.heard)


def test_a_dropped_notice_never_comes_by_itself_but_can_be_sent(hdfc: BankClient, platform: Platform) -> None:
    hdfc.faults(webhook_drop_rate=1)
    token = deliver_one(hdfc)
    [item] = hdfc.items("notices")
    assert item["status"] == "dropped"
    assert hdfc.session(token)["status"] == "approved"
    hdfc.faults()
    deliver_one(hdfc, "onramp-2")
    eventually(lambda: len(platform.heard) == 1)
    assert hdfc.http.post(f"/api/notices/{item['message_id']}/resend").status_code == 202
    eventually(lambda: len(platform.heard) == 2)
    assert token_of(platform.heard[1]) == token


def test_a_wrong_amount_is_a_message_of_its_own_and_the_right_one_follows(bank: BankClient, platform: Platform) -> None:
    bank.faults(webhook_wrong_amount_rate=1)
    platform.answers = [422]
    token = deliver_one(bank)
    eventually(lambda: len(platform.heard) == 2 and all_settled(bank))
    wrong, right = platform.heard
    assert (wrong.notice.amount, right.notice.amount) == (20100, 20000)
    assert wrong.authentic
    assert wrong.message_id != right.message_id
    assert bank.session(token)["status"] == "approved"
    assert len(bank.items("statement")) == 1


def test_a_bad_signature_spoils_one_attempt(hdfc: BankClient, platform: Platform) -> None:
    hdfc.faults(webhook_bad_signature_rate=1)
    deliver_one(hdfc)
    eventually(lambda: len(platform.heard) == 2 and all_settled(hdfc))
    bad, good = platform.heard
    assert (bad.authentic, good.authentic) == (False, True)
    assert (bad.message_id, bad.notice) == (good.message_id, good.notice)


def test_the_same_seed_spoils_the_same_notices(hdfc: BankClient) -> None:
    def run(name: str) -> list[str]:
        hdfc.faults(seed=3, webhook_drop_rate=0.5)
        for number in range(12):
            deliver_one(hdfc, f"{name}-{number}")
        eventually(lambda: all_settled(hdfc))
        return [item["status"] for item in hdfc.items("notices")[:12]]

    first = run("a")
    assert set(first) == {"delivered", "dropped"}
    assert run("b") == first


def test_a_notice_that_is_never_accepted_is_given_up(hdfc: BankClient, platform: Platform) -> None:
    platform.answers = [500] * 30
    deliver_one(hdfc)
    eventually(lambda: hdfc.items("notices")[0]["status"] == "exhausted", seconds=60)
    assert len(platform.heard) == 20


def test_a_bank_that_is_down_sends_nothing_until_it_is_back(
    hdfc: BankClient, axis: BankClient, platform: Platform
) -> None:
    tokens = [bank.open_session() for bank in (hdfc, axis)]
    for bank in (hdfc, axis):
        bank.faults(webhook_delay_ms=round(deadline(1) * 1000))
    assert hdfc.decide(tokens[0]).status_code == 303
    hdfc.faults(down=True)  # at once: a second is little on a busy machine
    assert axis.decide(tokens[1]).status_code == 303
    eventually(lambda: platform.heard)  # of Axis, whose notice falls due after the one of HDFC
    assert [heard.bank for heard in platform.heard] == ["axis"]
    hdfc.faults()
    eventually(lambda: len(platform.heard) == 2)
