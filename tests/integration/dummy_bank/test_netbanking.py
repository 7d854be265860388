"""A person pays in: asked once, decided once, told to the platform until it answers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.banks.messages import SessionState
from shared.banks.notices import PaymentNotice
from tests.support.simulated_bank import RETURN_URL, BankClient, Platform
from tests.support.waiting import eventually


def test_approving_moves_the_money_and_tells_the_platform(bank: BankClient, platform: Platform) -> None:
    token = bank.open_session(amount=20000)
    answer = bank.decide(token)
    assert (answer.status_code, answer.headers["location"]) == (303, RETURN_URL)
    heard = eventually(lambda: platform.heard)[0]
    state = bank.session(token)
    assert heard.authentic
    assert heard.notice == PaymentNotice(bank.code, "success", token, "user-1", 20000, state["bank_reference"])
    assert state["status"] == "approved"
    [line] = bank.items("statement")
    assert (line["direction"], line["amount"], line["balance_after"]) == ("CREDIT", 20000, 20000)
    assert (line["reference"], line["utr"]) == ("onramp-1", state["bank_reference"])


def test_declining_moves_nothing_and_tells_the_platform(bank: BankClient, platform: Platform) -> None:
    token = bank.open_session()
    assert bank.decide(token, "decline").status_code == 303
    notice = eventually(lambda: platform.heard)[0].notice
    assert isinstance(notice, PaymentNotice)
    assert (notice.event, notice.token, notice.amount) == ("failure", token, 20000)
    assert bank.session(token)["status"] == "declined"
    assert bank.items("statement") == []


def test_approving_twice_at_once_takes_the_money_once(hdfc: BankClient, platform: Platform) -> None:
    token = hdfc.open_session()
    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(answer.status_code for answer in pool.map(lambda _: hdfc.decide(token), range(8)))
    assert statuses == [303] + [409] * 7
    assert len(hdfc.items("statement")) == 1
    eventually(lambda: platform.heard)
    assert len(hdfc.items("notices")) == 1


def test_what_was_decided_is_said_with_a_way_back(hdfc: BankClient) -> None:
    token = hdfc.open_session()
    hdfc.decide(token)
    page = hdfc.browser.get(f"/netbanking/{token}")
    assert page.status_code == 200
    assert "already decided" in page.text
    assert f'href="{RETURN_URL}"' in page.text
    assert hdfc.decide(token, "decline").status_code == 409
    assert hdfc.session(token)["status"] == "approved"


@pytest.mark.parametrize(("who", "password"), [("demo", "wrong"), ("nobody", ""), ("nobody", "demo"), ("", "")])
def test_wrong_credentials_show_the_form_again(hdfc: BankClient, who: str, password: str) -> None:
    token = hdfc.open_session()
    form = {"customer_id": who, "password": password, "decision": "approve"}
    page = hdfc.browser.post(f"/netbanking/{token}", data=form)
    assert page.status_code == 401
    assert "do not go together" in page.text
    assert '<form method="post">' in page.text
    assert hdfc.session(token)["status"] == "pending"


def test_a_decision_that_is_neither_shows_the_form_again(hdfc: BankClient) -> None:
    token = hdfc.open_session()
    assert hdfc.decide(token, "maybe").status_code == 422
    assert hdfc.session(token)["status"] == "pending"


def test_who_cannot_afford_it_is_declined(hdfc: BankClient, platform: Platform) -> None:
    token = hdfc.open_session(amount=100_01)
    assert hdfc.decide(token, who="poor").status_code == 303
    assert eventually(lambda: platform.heard)[0].notice.event == "failure"
    assert hdfc.session(token)["reason"] == "INSUFFICIENT_FUNDS"
    assert hdfc.items("statement") == []


def test_the_page_lets_its_form_lead_back_to_the_platform_and_nowhere_else(hdfc: BankClient) -> None:
    page = hdfc.browser.get(f"/netbanking/{hdfc.open_session()}")
    assert page.status_code == 200
    assert "₹200.00" in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert policy.endswith("form-action 'self' http://127.0.0.1:12099")


def test_hostile_text_comes_out_as_text(hdfc: BankClient) -> None:
    token = hdfc.open_session(reference="<script>alert(1)</script>")
    assert "<script" not in hdfc.browser.get(f"/netbanking/{token}").text


def test_a_form_sent_from_another_site_is_refused(hdfc: BankClient) -> None:
    token = hdfc.open_session()
    form = {"customer_id": "demo", "password": "demo", "decision": "approve"}
    for header in ({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}):
        answer = hdfc.browser.post(f"/netbanking/{token}", data=form, headers=header)
        assert (answer.status_code, answer.json()["code"]) == (403, "CROSS_SITE")
    assert hdfc.session(token)["status"] == "pending"


def test_an_unknown_token_is_not_found(hdfc: BankClient) -> None:
    assert hdfc.browser.get("/netbanking/nothing").status_code == 404
    assert hdfc.decide("nothing").status_code == 404
    assert hdfc.http.get("/api/netbanking/sessions/nothing").json()["code"] == "SESSION_NOT_FOUND"


def test_asking_again_with_the_same_reference_gets_the_same_session(hdfc: BankClient) -> None:
    token = hdfc.open_session()
    assert hdfc.open_session() == token
    asked = {"reference": "onramp-1", "user_id": "user-1", "amount": 1, "return_url": RETURN_URL}
    assert hdfc.http.post("/api/netbanking/sessions", json=asked).status_code == 409


def test_the_session_reads_as_the_platform_reads_it(hdfc: BankClient) -> None:
    token = hdfc.open_session()
    state = SessionState.model_validate_json(hdfc.http.get(f"/api/netbanking/sessions/{token}").content)
    assert (state.token, state.status, state.user_id, state.amount) == (token, "pending", "user-1", 20000)


@pytest.mark.parametrize("answer", [404, 422])
def test_money_the_platform_turns_away_goes_back_to_the_person(
    hdfc: BankClient, platform: Platform, answer: int
) -> None:
    platform.answers = [answer]
    token = hdfc.open_session()
    hdfc.decide(token)
    eventually(lambda: hdfc.session(token)["status"] == "declined")
    directions = [(line["direction"], line["reference"], line["balance_after"]) for line in hdfc.items("statement")]
    assert directions == [("CREDIT", "onramp-1", 20000), ("DEBIT", "onramp-1", 0)]
    [notice] = hdfc.items("notices")
    assert (notice["status"], len(platform.heard)) == ("rejected", 1)
    assert hdfc.http.post(f"/api/notices/{notice['message_id']}/resend").status_code == 409


def test_a_platform_in_trouble_is_told_again_under_the_same_id(hdfc: BankClient, platform: Platform) -> None:
    platform.answers = [503, 500, 401, 200]
    hdfc.decide(hdfc.open_session())
    eventually(lambda: hdfc.items("notices")[0]["status"] == "delivered")
    assert len(platform.heard) == 4
    assert len({heard.message_id for heard in platform.heard}) == 1
    assert [made["status"] for made in hdfc.items("notices")[0]["deliveries"]] == [503, 500, 401, 200]


def test_a_delivered_notice_can_be_sent_once_more(hdfc: BankClient, platform: Platform) -> None:
    hdfc.decide(hdfc.open_session())
    eventually(lambda: hdfc.items("notices")[0]["status"] == "delivered")
    message_id = hdfc.items("notices")[0]["message_id"]
    platform.answers = [404]
    assert hdfc.http.post(f"/api/notices/{message_id}/resend").status_code == 202
    assert [heard.message_id for heard in platform.heard] == [message_id] * 2
    assert len(hdfc.items("statement")) == 1
    assert hdfc.http.post("/api/notices/msg_nothing/resend").status_code == 404


def test_the_platform_may_end_a_session_until_it_is_decided(bank: BankClient, platform: Platform) -> None:
    token = bank.open_session()
    path = f"/api/netbanking/sessions/{token}/cancel"
    for _ in range(2):
        state = SessionState.model_validate_json(bank.http.post(path).content)
        assert (state.status, state.reason) == ("declined", "CANCELLED")
    assert bank.decide(token).status_code == 409
    assert "The shop has cancelled the request" in bank.browser.get(f"/netbanking/{token}").text
    notice = eventually(lambda: platform.heard)[0].notice
    assert isinstance(notice, PaymentNotice)
    assert (notice.event, notice.reason) == ("failure", "CANCELLED")
    assert len(bank.items("notices")) == 1
    assert bank.items("statement") == []


def test_an_approved_session_cannot_be_ended(hdfc: BankClient) -> None:
    token = hdfc.open_session()
    hdfc.decide(token)
    state = SessionState.model_validate_json(hdfc.http.post(f"/api/netbanking/sessions/{token}/cancel").content)
    assert (state.status, len(hdfc.items("statement"))) == ("approved", 1)
    unknown = hdfc.http.post("/api/netbanking/sessions/nothing/cancel")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "SESSION_NOT_FOUND")
