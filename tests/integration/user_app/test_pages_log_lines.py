"""A page's request is found in the logs by the id of what it made, as a request of the API is."""

from __future__ import annotations

import httpx

from tests.support.access_lines import access_lines, line_of
from tests.support.apps import PIN, RunningApp, Signed
from tests.support.browsing import ACCOUNT, Browser
from tests.support.on_ramps import newest_on_ramp


def _id_in(answer: httpx.Response) -> str:
    return answer.headers["location"].rpartition("/")[2]


async def test_the_line_of_a_payment_names_the_transfer_when_the_form_is_sent_again_too(
    browser: Browser, asha: Signed, ravi: Signed
) -> None:
    await asha.send(ravi.wallet_id, 1_00)
    form = (await browser.open(f"/send?to={ravi.wallet_id}")).form("/send")
    for _ in range(2):
        with access_lines() as lines:
            answer = await browser.post(form, amount="250", pin=PIN)
        line = line_of(lines, "POST", "/send")
        assert (line["status"], line["transfer_id"]) == (303, _id_in(answer))
        assert line["owner_id"] == str(asha.id)


async def test_the_line_of_a_reviewed_first_payment_names_the_transfer(browser: Browser, ravi: Signed) -> None:
    review = await browser.submit((await browser.open(f"/send?to={ravi.wallet_id}")).form("/send"), amount="250")
    with access_lines() as lines:
        answer = await browser.post(review.form("/send/review"), pin=PIN)
    assert line_of(lines, "POST", "/send/review")["transfer_id"] == _id_in(answer)


async def test_the_line_of_a_move_to_a_pot_names_the_transfer(browser: Browser, asha: Signed) -> None:
    pot = (await asha.post("/accounts", name="Goa")).json()["id"]
    form = (await browser.open("/pots")).form("/pots/move")
    with access_lines() as lines:
        answer = await browser.post(form, to=pot, amount="250", pin=PIN)
    assert line_of(lines, "POST", "/pots/move")["transfer_id"] == _id_in(answer)


async def test_the_line_of_a_withdrawal_names_it(browser: Browser) -> None:
    page = await browser.open("/withdraw")
    review = await browser.submit(page.form("/withdraw"), amount="100", **ACCOUNT)
    with access_lines() as lines:
        answer = await browser.post(review.form("/withdraw/review"), pin=PIN)
    assert line_of(lines, "POST", "/withdraw/review")["withdrawal_id"] == _id_in(answer)


async def test_the_line_of_an_on_ramp_names_it(banked_app: RunningApp, meera: Signed) -> None:
    browser = Browser(meera)
    form = (await browser.open("/add-money")).form("/add-money")
    with access_lines() as lines:
        await browser.post(form, amount="100", bank="hdfc")
    on_ramp = await newest_on_ramp(banked_app, meera)
    assert line_of(lines, "POST", "/add-money")["on_ramp_id"] == str(on_ramp.id)


async def test_the_line_of_a_refused_payment_names_none(browser: Browser, asha: Signed, ravi: Signed) -> None:
    await asha.send(ravi.wallet_id, 1_00)
    form = (await browser.open(f"/send?to={ravi.wallet_id}")).form("/send")
    with access_lines() as lines:
        await browser.post(form, amount="250000", pin=PIN)
    assert "transfer_id" not in line_of(lines, "POST", "/send")
