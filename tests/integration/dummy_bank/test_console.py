"""The console works with plain forms: faults, the book, the notices and sending one again."""

from __future__ import annotations

import httpx

from tests.support.simulated_bank import BankClient, Platform
from tests.support.waiting import eventually


def test_it_shows_the_book_the_faults_and_the_notices(bank_url: str, bank: BankClient, platform: Platform) -> None:
    bank.decide(bank.open_session())
    eventually(lambda: bank.items("notices")[0]["status"] == "delivered")
    page = httpx.get(f"{bank_url}/")
    assert page.status_code == 200
    for text in ("HDFC Bank", "Axis Bank", "nodal", "payment success", "webhook_drop_rate", "onramp-1"):
        assert text in page.text
    assert "style=" not in page.text


def test_the_form_sets_the_faults_and_an_unticked_box_is_off(hdfc: BankClient) -> None:
    form = {"seed": "9", "error_rate": "0.25", "latency_ms": "", "down": "on", "hold_at": "after_work"}
    answer = hdfc.browser.post("/console/faults", data=form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/#hdfc")
    chosen = hdfc.http.get("/api/faults").json()
    assert (chosen["seed"], chosen["error_rate"], chosen["down"]) == (9, 0.25, True)
    assert (chosen["idempotency"], chosen["hold_at"]) == (False, "after_work")


def test_an_unfit_number_is_said_and_changes_nothing(hdfc: BankClient) -> None:
    answer = hdfc.browser.post("/console/faults", data={"error_rate": "7"})
    assert answer.status_code == 422
    assert "error_rate" in answer.text
    assert hdfc.http.get("/api/faults").json()["error_rate"] == 0


def test_the_resend_button_sends_again(hdfc: BankClient, platform: Platform) -> None:
    hdfc.decide(hdfc.open_session())
    eventually(lambda: hdfc.items("notices")[0]["status"] == "delivered")
    message_id = hdfc.items("notices")[0]["message_id"]
    assert hdfc.browser.post(f"/console/notices/{message_id}/resend").status_code == 303
    assert len(platform.heard) == 2
    assert hdfc.browser.post("/console/notices/msg_none/resend").status_code == 404
