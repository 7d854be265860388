"""Home, activity, pots and profile, in a browser without scripts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from sqlalchemy import func, select

from shared import clock
from shared.models import IdempotencyKey
from tests.support.apps import PASSWORD, PIN, RunningApp, Signed
from tests.support.browsing import Browser

NEW_PASSWORD = "a better horse"


@pytest.fixture
def browser(asha: Signed) -> Browser:
    """Asha's, who has ₹1,000."""
    return Browser(asha)


async def _withdraw(signed: Signed, amount: int) -> dict[str, Any]:
    answer = await signed.post(
        "/withdrawals",
        bank="hdfc",
        account_number="123456781234",
        ifsc="HDFC0000001",
        account_holder="Asha Rao",
        amount=amount,
        pin=PIN,
    )
    return dict(answer.json())


@pytest.mark.parametrize("path", ["/", "/send", "/activity", "/pots", "/profile", "/profile/pin", "/transfers/x"])
async def test_a_page_without_a_session_asks_to_sign_in(user_app: RunningApp, path: str) -> None:
    answer = await user_app.client.get(path, headers={"Accept": "text/html"})
    assert answer.status_code == httpx.codes.SEE_OTHER
    assert answer.headers["location"].startswith("/sign-in")


@pytest.mark.usefixtures("midday")
async def test_home_shows_what_is_available_what_is_held_and_why(browser: Browser, asha: Signed, ravi: Signed) -> None:
    await asha.send(ravi.wallet_id, 250_00, note="lunch")
    first, second = await _withdraw(asha, 100_00), await _withdraw(asha, 50_00)
    home = await browser.open("/")
    for words in (
        "Available to spend ₹600 .00",
        "₹150.00 more is held",
        "In your queue",
        "2 in your queue",
        "Today",
        "Sent to Ravi Rao",
        "lunch",
    ):
        assert words in home.text
    for each in (first, second):
        assert f'href="/withdrawals/{each["id"]}"' in home.answer.text
    assert 'href="/add-money"' in home.answer.text
    assert 'data-events="/api/v1/events"' in home.answer.text


async def test_home_of_a_new_person_says_what_to_do_first(ravi: Signed) -> None:
    home = await Browser(ravi).open("/")
    assert "Your wallet is ready" in home.text
    assert "Held for withdrawals" not in home.text


async def test_activity_is_filtered_searched_and_paged(browser: Browser, asha: Signed, ravi: Signed) -> None:
    for number in range(30):
        await asha.send(ravi.wallet_id, 1_00, note=f"chai {number:02}")
    await ravi.send(asha.wallet_id, 5_00, note="back")
    newest = await browser.open("/activity")
    assert "chai 29" in newest.text
    assert "chai 00" not in newest.text
    older = newest.answer.text.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
    assert "chai 00" in (await browser.open(older)).text

    form = newest.form("/activity")
    incoming = await browser.submit(form, direction="CREDIT")
    assert "back" in incoming.text
    assert "chai" not in incoming.text
    found = await browser.submit(form, q="chai 07")
    assert "chai 07" in found.text
    assert "chai 08" not in found.text
    assert found.form("/activity").fields["q"] == "chai 07"
    csv = found.answer.text.split('href="/api/v1/transactions.csv')[1].split('"')[0].replace("&amp;", "&")
    lines = (await browser.open(f"/api/v1/transactions.csv{csv}")).answer.text.strip().splitlines()
    assert [line.count("chai 07") for line in lines] == [0, 1]


@pytest.mark.usefixtures("midday")
async def test_days_are_those_of_india(browser: Browser, asha: Signed, ravi: Signed) -> None:
    await asha.send(ravi.wallet_id, 1_00, note="today's")
    today = clock.now().astimezone(ZoneInfo("Asia/Kolkata")).date()
    form = (await browser.open("/activity")).form("/activity")
    assert "today's" in (await browser.submit(form, since=str(today), until=str(today))).text
    assert "No match" in (await browser.submit(form, since=str(today + timedelta(days=1)))).text
    assert "today's" not in (await browser.submit(form, until=str(today - timedelta(days=1)))).text


@pytest.mark.parametrize(
    ("field", "value"),
    [("since", "yesterday"), ("direction", "UP"), ("kind", "gift"), ("cursor", "x"), ("account", "1")],
)
async def test_a_filter_that_cannot_be_is_said_and_nothing_breaks(browser: Browser, field: str, value: str) -> None:
    page = await browser.open(f"/activity?{field}={value}")
    assert page.status == httpx.codes.UNPROCESSABLE_ENTITY
    assert "Activity" in page.text


async def test_the_account_of_another_owner_has_no_activity_here(browser: Browser, ravi: Signed) -> None:
    theirs = (await ravi.wallet())["account_id"]
    assert (await browser.open(f"/activity?account={theirs}")).status == httpx.codes.NOT_FOUND


async def test_a_pot_is_made_filled_once_and_seen(browser: Browser, user_app: RunningApp, asha: Signed) -> None:
    pots = await browser.submit((await browser.open("/pots")).form("/pots"), name="Goa trip")
    assert "Goa trip" in pots.text
    form = pots.form("/pots/move")
    receipt = await browser.submit(form, amount="250", pin=PIN)
    assert "Moved to Goa trip" in receipt.text
    assert (await browser.submit(form, amount="250", pin=PIN)).path == receipt.path
    assert "₹250 .00" in (await browser.open("/pots")).text
    assert "Moved to Goa trip" in (await browser.open("/activity")).text
    pot = next(each for each in (await asha.get("/accounts")).json()["items"] if each["kind"] == "pot")
    assert "Moved from your wallet" in (await browser.open(f"/activity?account={pot['id']}")).text
    async with user_app.sessionmaker() as session:
        keys = select(func.count()).where(IdempotencyKey.owner_id == asha.id)
        assert await session.scalar(keys) == 1


async def test_a_pots_mistakes_are_said_beside_the_field(browser: Browser) -> None:
    pots = await browser.submit((await browser.open("/pots")).form("/pots"), name="Goa trip")
    again = await browser.submit(pots.form("/pots"), name="Goa trip")
    assert again.status == httpx.codes.OK
    assert "already have a pot with this name" in again.text
    assert again.form("/pots").fields["name"] == "Goa trip"

    move = pots.form("/pots/move")
    wrong = await browser.submit(move, amount="12.50", pin="9876")
    assert "4 tries left" in wrong.text
    assert wrong.form("/pots/move").fields == move.fields | {"amount": "12.50", "pin": ""}
    assert "more than the" in (await browser.submit(move, amount="5000", pin=PIN)).text
    same = await browser.submit(move, amount="1", pin=PIN, to=move.fields["from_account"])
    assert 'id="to-error"' in same.answer.text


async def test_names_are_changed_and_shown(browser: Browser) -> None:
    form = (await browser.open("/profile")).form("/profile")
    assert form.fields == {"first_name": "Asha", "last_name": "Rao"}
    saved = await browser.submit(form, first_name=" Aasha ")
    assert "Your name is changed" in saved.text
    assert "Aasha Rao" in saved.text
    refused = await browser.submit(form, first_name="", last_name="Menon")
    assert refused.status == httpx.codes.OK
    assert 'id="first_name-error"' in refused.answer.text
    assert refused.form("/profile").fields["last_name"] == "Menon"


async def test_a_new_password_needs_the_present_one(browser: Browser, user_app: RunningApp, asha: Signed) -> None:
    form = (await browser.open("/profile/password")).form("/profile/password")
    refused = await browser.submit(form, current_password="not this one", new_password=NEW_PASSWORD)
    assert refused.status == httpx.codes.OK
    assert 'id="current_password-error"' in refused.answer.text
    assert NEW_PASSWORD not in refused.answer.text
    assert "not this one" not in refused.answer.text
    short = await browser.submit(form, current_password=PASSWORD, new_password="short")
    assert 'id="new_password-error"' in short.answer.text
    done = await browser.submit(form, current_password=PASSWORD, new_password=NEW_PASSWORD)
    assert "Your password is changed" in done.text
    answer = await user_app.client.post(
        "/api/v1/auth/login", json={"email": asha.profile["email"], "password": NEW_PASSWORD}
    )
    user_app.client.cookies.clear()
    assert answer.status_code == httpx.codes.OK


async def test_a_new_pin_pays_and_the_old_one_does_not(browser: Browser, asha: Signed, ravi: Signed) -> None:
    form = (await browser.open("/profile/pin")).form("/profile/pin")
    refused = await browser.submit(form, current_password=PASSWORD, new_pin="12")
    assert 'id="new_pin-error"' in refused.answer.text
    assert "Your PIN is changed" in (await browser.submit(form, current_password=PASSWORD, new_pin="825693")).text
    assert (await asha.send(ravi.wallet_id, 1_00)).status_code == httpx.codes.FORBIDDEN
    assert (await asha.send(ravi.wallet_id, 1_00, pin="825693")).status_code == httpx.codes.CREATED


async def test_signing_out_ends_the_session(browser: Browser) -> None:
    out = await browser.submit((await browser.open("/profile")).form("/sign-out"))
    assert out.path == "/sign-in"
    assert (await browser.open("/profile")).path == "/sign-in"


@pytest.mark.parametrize("query", ["since=0001-01-01", "until=9999-12-31"])
async def test_days_at_the_ends_of_the_calendar_are_days(browser: Browser, query: str) -> None:
    page = await browser.open(f"/activity?{query}")
    assert page.status == httpx.codes.OK
    assert "From Batua" in page.text
