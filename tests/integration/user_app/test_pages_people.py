"""Home puts people first, and no page is a dead end: short of money one adds some, and goes on."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from shared.on_ramps.settlement import settle
from shared.pages.formatting import MINUS
from shared.payment_codes import draw_inline, payment_uri
from tests.support.apps import PASSWORD, PIN, RunningApp, Signed
from tests.support.bank_notices import payment_notice
from tests.support.browsing import ACCOUNT, Browser, Page
from tests.support.on_ramps import newest_on_ramp


def links_to(page: Page, path: str) -> list[str]:
    """The addresses of the links on it that begin so."""
    return [unescape(each) for each in re.findall(r'href="([^"]+)"', page.answer.text) if each.startswith(path)]


async def test_recent_people_are_offered_once_between_the_purse_and_the_list(
    user_app: RunningApp, browser: Browser, asha: Signed, ravi: Signed
) -> None:
    friend = await user_app.person("Zubin", last_name="Contractor")
    await asha.send(ravi.wallet_id, 1_00)
    await asha.send(friend.wallet_id, 1_00)
    home = (await browser.open("/")).answer.text
    row = home[home.index('id="people"') : home.index("Recent activity")]
    assert home.index("Available to spend") < home.index("Send again") < home.index("Recent activity")
    assert row.index("Zubin Contractor") < row.index("Ravi Rao")
    for each in (friend, ravi):
        assert home.count(f'href="/send?to={each.wallet_id.replace("@", "%40")}"') == 1


async def test_without_recent_people_the_row_is_hidden(ravi: Signed) -> None:
    home = (await Browser(ravi).open("/")).answer.text
    assert 'id="people" aria-labelledby="people-heading" data-live hidden' in home


async def test_what_is_missing_is_added_and_one_goes_on_with_the_payment(
    banked_app: RunningApp, meera: Signed, ravi: Signed
) -> None:
    browser = Browser(meera)
    form = (await browser.open(f"/send?to={ravi.wallet_id}")).form("/send")
    short = await browser.submit(form, amount="1,250.50", note="rent & more")
    assert short.status == httpx.codes.OK
    [add] = links_to(short, "/add-money?")
    adding = (await browser.open(add)).form("/add-money")
    assert adding.fields["amount"] == "1250.50"
    answer = await browser.post(adding, bank="hdfc")
    on_ramp = await newest_on_ramp(banked_app, meera)
    async with banked_app.sessionmaker.begin() as session:
        await settle(session, payment_notice(on_ramp))

    cookie = answer.headers["set-cookie"]
    assert f"Path=/on-ramps/{on_ramp.id}" in cookie
    done = await browser.open(f"/on-ramps/{on_ramp.id}", way_back=cookie.split("way_back=")[1].split(";")[0])
    [on] = links_to(done, "/send?")
    assert parse_qs(urlsplit(on).query) == {"to": [ravi.wallet_id], "amount": ["1,250.50"], "note": ["rent & more"]}
    again = (await browser.open(on)).form("/send")
    assert (again.fields["amount"], again.fields["note"]) == ("1250.50", "rent & more")


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "/sign-out"])
async def test_after_adding_money_one_never_lands_elsewhere(
    meera: Signed, banked_app: RunningApp, elsewhere: str
) -> None:
    browser = Browser(meera)
    form = (await browser.open("/add-money")).form("/add-money")
    answer = await browser.post(form, amount="100", bank="hdfc", next=elsewhere)
    assert "set-cookie" not in answer.headers
    on_ramp = await newest_on_ramp(banked_app, meera)
    async with banked_app.sessionmaker.begin() as session:
        await settle(session, payment_notice(on_ramp))
    page = await browser.open(f"/on-ramps/{on_ramp.id}", way_back=elsewhere)
    assert "Go on where you were" not in page.text


async def test_a_withdrawal_that_is_short_keeps_the_account_that_was_typed(browser: Browser) -> None:
    form = (await browser.open("/withdraw")).form("/withdraw")
    short = await browser.submit(form, amount="1500", **ACCOUNT)
    assert short.status == httpx.codes.OK
    [add] = links_to(short, "/add-money?")
    asked = parse_qs(urlsplit(add).query)
    assert asked["amount"] == ["500"]
    back = (await browser.open(asked["next"][0])).form("/withdraw")
    assert back.fields["amount"] == "1500"
    assert back.fields["account_number"] == ACCOUNT["account_number"]
    assert ACCOUNT["account_number"] not in asked["next"][0]


async def test_money_is_added_for_a_move_from_the_wallet_and_not_for_one_from_a_pot(browser: Browser) -> None:
    move = (await browser.submit((await browser.open("/pots")).form("/pots"), name="Goa")).form("/pots/move")
    short = await browser.submit(move, amount="1100", pin=PIN)
    [add] = links_to(short, "/add-money?")
    asked = parse_qs(urlsplit(add).query)
    assert asked["amount"] == ["100"]
    back = (await browser.open(asked["next"][0])).form("/pots/move")
    assert back.fields == back.fields | {"amount": "1100", "to": move.fields["to"]}
    wallet, pot = move.fields["from_account"], move.fields["to"]
    from_pot = await browser.submit(move, amount="5", pin=PIN, from_account=pot, to=wallet)
    assert from_pot.status == httpx.codes.OK
    assert not links_to(from_pot, "/add-money?")


async def test_a_new_account_is_one_of_the_choices_and_no_hidden_field_is_required(browser: Browser) -> None:
    first = await browser.open("/withdraw")
    assert 'name="again"' not in first.answer.text
    review = await browser.submit(first.form("/withdraw"), amount="10", **ACCOUNT)
    await browser.submit(review.form("/withdraw/review"), pin=PIN)
    choice = await browser.open("/withdraw")
    fields = choice.answer.text.split('class="stack new-account"')[1].split("</form>")[0]
    assert "required" not in fields
    assert 'value="" required checked' not in choice.answer.text
    refused = await browser.submit(choice.form("/withdraw"), amount="10", again="", account_number="12")
    assert refused.status == httpx.codes.OK
    assert 'value="" required checked' in refused.answer.text
    assert 'id="account_number-error"' in refused.answer.text


async def test_a_pay_link_says_which_shop_is_paid_and_how_much_before_sign_in(
    user_app: RunningApp, shop: Signed, asha: Signed
) -> None:
    name = shop.profile["business_name"]
    page = await Browser(replace(asha, token="")).open(f"/pay/{shop.wallet_id}?amount=120.50&note=two%20chai")
    assert page.status == httpx.codes.OK
    for words in (f"Pay {name}", shop.wallet_id, "₹120 .50", "Sign in to pay"):
        assert words in page.text
    [sign_in], [sign_up] = links_to(page, "/sign-in"), links_to(page, "/sign-up")
    for each in (sign_in, sign_up):
        assert parse_qs(urlsplit(each).query)["next"] == [f"/pay/{shop.wallet_id}?amount=120.50&note=two%20chai"]
    form = (await Browser(replace(asha, token="")).open(sign_in)).form("/sign-in")
    answer = await Browser(replace(asha, token="")).post(form, email=asha.profile["email"], password=PASSWORD)
    user_app.client.cookies.clear()
    assert answer.headers["location"] == f"/pay/{shop.wallet_id}?amount=120.50&note=two%20chai"
    assert (await Browser(asha).open(answer.headers["location"])).form("/send").fields["amount"] == "120.50"


async def test_before_sign_in_a_person_is_a_wallet_id_and_so_is_one_that_does_not_exist(
    asha: Signed, ravi: Signed
) -> None:
    stranger = Browser(replace(asha, token=""))
    theirs = await stranger.open(f"/pay/{ravi.wallet_id}")
    assert "Ravi" not in theirs.text
    assert "Rao" not in theirs.text
    unknown = await stranger.open("/pay/there.is.no.such@batua")
    assert theirs.text.replace(ravi.wallet_id, "?") == unknown.text.replace("there.is.no.such@batua", "?")
    assert (await stranger.open("/pay/not-an-id")).status == httpx.codes.NOT_FOUND


async def test_a_program_without_a_session_is_answered_as_before(user_app: RunningApp, ravi: Signed) -> None:
    assert (await user_app.client.get(f"/pay/{ravi.wallet_id}")).status_code == httpx.codes.UNAUTHORIZED


async def test_the_profile_shows_the_wallet_id_as_a_code_and_home_leads_to_it(browser: Browser, asha: Signed) -> None:
    assert links_to(await browser.open("/"), "/profile#code")
    profile = await browser.open("/profile")
    drawn = profile.answer.text.split('<figure class="code" id="code">')[1].split("</figure>")[0]
    assert payment_uri(wallet_id=asha.wallet_id) == f"upi://pay?pa={asha.wallet_id}&cu=INR"
    assert draw_inline(payment_uri(wallet_id=asha.wallet_id)) in drawn


async def test_what_is_filtered_is_added_up_below_the_filters(browser: Browser, asha: Signed, ravi: Signed) -> None:
    await asha.send(ravi.wallet_id, 125_50, note="rent")
    await ravi.send(asha.wallet_id, 25_50, note="rent again")
    await asha.send(ravi.wallet_id, 10_00, note="chai")
    assert "In +" not in (await browser.open("/activity")).text
    found = await browser.open("/activity?q=rent")
    assert re.search(rf"In \+ ?₹25 \.50 Out {MINUS} ?₹125 \.50", found.text)
