"""The bank's pages as a browser meets them: what they ask, what they refuse, and that they need no script."""

from __future__ import annotations

import re

import httpx

from tests.support.simulated_bank import RETURN_URL, BankClient
from tests.support.waiting import eventually


def test_netbanking_says_who_asks_for_what_and_offers_every_way_out(bank: BankClient) -> None:
    page = bank.browser.get(f"/netbanking/{bank.open_session(amount=12345600)}").text
    for text in ("Batua Wallet", "₹1,23,456.00", "127.0.0.1:12099", "onramp-1", 'value="approve"', 'value="decline"'):
        assert text in page
    assert f'href="{RETURN_URL}"' in page
    assert "<script" not in page


def test_a_wrong_password_is_said_at_the_fields_and_never_shown_again(hdfc: BankClient) -> None:
    form = {"customer_id": "alice", "password": "guess-4711", "decision": "approve"}
    page = hdfc.browser.post(f"/netbanking/{hdfc.open_session()}", data=form)
    assert page.status_code == 401
    assert 'value="alice"' in page.text
    assert "guess-4711" not in page.text
    assert page.text.count('aria-invalid="true" aria-describedby="wrong"') == 2


def test_each_bank_looks_like_itself(bank: BankClient) -> None:
    page = bank.browser.get(f"/netbanking/{bank.open_session()}").text
    assert f'<body class="branch {bank.code}">' in page


def test_a_bank_that_is_down_shows_a_page_that_says_nothing_was_taken(hdfc: BankClient) -> None:
    token = hdfc.open_session()
    hdfc.faults(down=True)
    page = hdfc.browser.get(f"/netbanking/{token}")
    assert (page.status_code, page.headers["retry-after"]) == (503, "5")
    assert "Nothing was taken" in page.text


def test_everything_a_page_loads_is_the_banks_own_and_nothing_is_inline(bank_url: str) -> None:
    page = httpx.get(f"{bank_url}/")
    loaded = re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text)
    assert sorted(loaded) == ["/static/bank.css", "/static/bank.svg", "/static/console.js"]
    assert all(httpx.get(f"{bank_url}{path}").status_code == 200 for path in loaded)
    assert re.findall(r"<script(?![^>]* src=)|<style| style=| on\w+=", page.text) == []
    policy = page.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "unsafe" not in policy


def test_one_button_takes_a_bank_down_and_leaves_its_other_faults(hdfc: BankClient) -> None:
    hdfc.faults(error_rate=0.25, seed=7)
    assert hdfc.browser.post("/console/power", data={"to": "down"}).headers["location"] == "/#hdfc"
    chosen = hdfc.http.get("/api/faults").json()
    assert (chosen["down"], chosen["error_rate"], chosen["seed"]) == (True, 0.25, 7)
    hdfc.browser.post("/console/power", data={"to": "up"})
    chosen = hdfc.http.get("/api/faults").json()
    assert (chosen["down"], chosen["error_rate"]) == (False, 0.25)


def test_one_button_clears_all_faults_but_keeps_the_seed(hdfc: BankClient) -> None:
    hdfc.faults(error_rate=0.25, seed=7, idempotency=False, down=True)
    hdfc.browser.post("/console/power", data={"to": "well"})
    chosen = hdfc.http.get("/api/faults").json()
    assert (chosen["down"], chosen["error_rate"], chosen["idempotency"], chosen["seed"]) == (False, 0, True, 7)


def test_an_unknown_power_button_changes_nothing(hdfc: BankClient) -> None:
    hdfc.faults(error_rate=0.25)
    assert hdfc.browser.post("/console/power", data={"to": "explode"}).status_code == 303
    assert hdfc.http.get("/api/faults").json()["error_rate"] == 0.25


def test_sending_the_console_form_as_it_stands_changes_nothing(hdfc: BankClient, bank_url: str) -> None:
    hdfc.faults(error_rate=0.333, latency_ms=250, webhook_drop_rate=0.1, idempotency=False, hold_at="before_work")
    before = hdfc.http.get("/api/faults").json()
    page = httpx.get(f"{bank_url}/").text
    form = page.partition('action="/hdfc/console/faults"')[2].partition("</form>")[0]
    sent = dict(re.findall(r'<input type="(?:range|number)"[^>]* name="(\w+)" value="([^"]*)"', form))
    sent |= dict.fromkeys(re.findall(r'role="switch"[^>]* name="(\w+)"[^>]* checked', form), "on")
    sent |= {"hold_at": re.findall(r'<option value="(\w*)" selected', form)[0]}
    assert 'name="error_rate" value="0.333" min="0" max="1" step="any"' in form
    assert hdfc.browser.post("/console/faults", data=sent).status_code == 303
    assert hdfc.http.get("/api/faults").json() == before


def test_an_unfit_number_is_said_at_its_field_with_everything_kept(hdfc: BankClient) -> None:
    page = hdfc.browser.post("/console/faults", data={"latency_ms": "99999999", "seed": "42", "down": "on"})
    assert page.status_code == 422
    assert 'name="latency_ms" value="99999999"' in page.text
    assert 'aria-describedby="hdfc-latency_ms-hint hdfc-latency_ms-wrong" aria-invalid="true"' in page.text
    assert 'name="seed" value="42"' in page.text
    assert hdfc.http.get("/api/faults").json()["seed"] == 0


def test_the_console_shows_each_delivery_with_its_answer_and_a_resend_button(hdfc: BankClient, bank_url: str) -> None:
    hdfc.decide(hdfc.open_session())
    eventually(lambda: hdfc.items("notices")[0]["status"] == "delivered")
    message_id = hdfc.items("notices")[0]["message_id"]
    page = httpx.get(f"{bank_url}/").text
    assert '<b class="answer good">200</b>' in page
    assert f'action="/hdfc/console/notices/{message_id}/resend"' in page
