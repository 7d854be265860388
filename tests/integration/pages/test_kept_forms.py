"""A refused form, and one that arrives after its session, is back on its page: what was typed, never a secret."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest
from httpx import URL

from shared import clock
from shared.pages.forms import SECRETS
from shared.pages.kept_forms import GUEST, INTERRUPTED
from shared.pages.sealed_forms import MAX_AGE_SECONDS, MAX_SEALED_LENGTH
from tests.support.apps import PASSWORD, PIN, RunningApp, Signed
from tests.support.browsing import Browser, Page, PageForm

ID = "01a21911-6c9c-7166-921d-72e4df9b8dc1"
SECRET = "s3cret of mine"
EXPIRED = timedelta(days=7, minutes=1)
FORMS = [
    ("user_app", "/send", "/send"),
    ("user_app", "/send/review", "/send"),
    ("user_app", "/scan", "/scan"),
    ("user_app", "/add-money", "/add-money"),
    ("user_app", "/pots", "/pots"),
    ("user_app", "/pots/move", "/pots"),
    ("user_app", "/profile", "/profile"),
    ("user_app", "/profile/password", "/profile/password"),
    ("user_app", "/profile/pin", "/profile/pin"),
    ("user_app", "/withdraw", "/withdraw"),
    ("user_app", "/withdraw/review", "/withdraw"),
    ("user_app", f"/withdrawals/{ID}/cancel", f"/withdrawals/{ID}"),
    ("user_app", "/sign-in", "/sign-in"),
    ("user_app", "/sign-up", "/sign-up"),
    ("merchant_app", f"/transactions/{ID}/refund", f"/transactions/{ID}/refund"),
    ("merchant_app", "/profile", "/profile"),
    ("merchant_app", "/sign-up", "/sign-up"),
    ("merchant_app", "/withdraw", "/withdraw"),
]


@pytest.fixture
def browser(asha: Signed) -> Browser:
    """Asha's."""
    return Browser(asha)


def _kept(page: Page, action: str = "/send") -> tuple[str, ...]:
    fields = page.form(action).fields
    return tuple(fields[name] for name in ("idempotency_key", "amount", "note"))


async def _sign_in(browser: Browser, signed: Signed, page: Page, password: str = PASSWORD) -> Page:
    return await browser.submit(page.form("/sign-in"), email=signed.profile["email"], password=password)


async def _sign_out_elsewhere(signed: Signed) -> None:
    assert (await signed.post("/auth/logout", key=None)).status_code == httpx.codes.NO_CONTENT


@pytest.mark.parametrize(("app", "action", "page"), FORMS)
async def test_each_refused_form_leads_to_its_page_and_keeps_no_secret(
    *, user_app: RunningApp, merchant_app: RunningApp, asha: Signed, shop: Signed, app: str, action: str, page: str
) -> None:
    running, signed = (user_app, asha) if app == "user_app" else (merchant_app, shop)
    browser = Browser(signed)
    typed = dict.fromkeys(SECRETS, SECRET) | {"email": "no address", "note": "\x00", "name": "", "first_name": ""}
    if action == "/scan":
        files = {"link": (None, "upi://pay"), "pin": (None, SECRET)}
        answer = await browser._send("POST", action, files=files)
    else:
        answer = await browser.post(PageForm("post", action), **typed)
    assert answer.status_code == httpx.codes.SEE_OTHER
    assert URL(answer.headers["location"]).path == page
    shown = await browser.follow(answer)
    assert shown.status in {httpx.codes.OK, httpx.codes.NOT_FOUND}
    name = URL(answer.headers["location"]).params["form"]
    sealed = browser.cookies[GUEST] if name == GUEST else name
    assert SECRET not in running.app.state.form_seal._fernet.decrypt(sealed).decode()
    assert SECRET not in str(answer.headers) + shown.answer.text


async def test_a_refused_form_is_shown_again_as_often_as_it_is_opened(browser: Browser, shop: Signed) -> None:
    form = (await browser.open(f"/pay/{shop.wallet_id}")).form("/send")
    answer = await browser.post(form, amount="12,50", note="lunch with Ravi", pin=PIN)
    assert len(answer.headers["location"]) < 4_000
    assert "lunch" not in answer.headers["location"]
    first, again = [await browser.open(answer.headers["location"]) for _ in range(2)]
    assert _kept(first) == _kept(again) == (form.fields["idempotency_key"], "12,50", "lunch with Ravi")
    for words in ("Did you mean ₹12.50?", "Nothing was sent."):
        assert words in first.text
    paid = [await browser.submit(page.form("/send"), amount="12.50", pin=PIN) for page in (first, again)]
    assert paid[0].path == paid[1].path
    assert (await shop.wallet())["balance"] == 12_50


async def test_text_that_no_field_takes_is_left_out_of_the_address(browser: Browser, shop: Signed) -> None:
    form = (await browser.open(f"/pay/{shop.wallet_id}")).form("/send")
    page = await browser.submit(form, amount="250", note="\N{WAVING HAND SIGN}" * 3_000, pin=PIN)
    assert len(str(page.answer.url)) < MAX_SEALED_LENGTH + 200
    assert _kept(page) == (form.fields["idempotency_key"], "250", "")
    longest = await browser.submit(form, amount="0", note="\N{WAVING HAND SIGN}" * 200, pin=PIN)
    assert longest.form("/send").fields["note"] == "\N{WAVING HAND SIGN}" * 200


@pytest.mark.parametrize("opened_by", ["ravi", "another session", "tampered", "another page", "late"])
async def test_what_was_typed_is_of_no_use_to_anyone_else(
    user_app: RunningApp, browser: Browser, asha: Signed, ravi: Signed, opened_by: str
) -> None:
    form = (await browser.open("/profile")).form("/profile")
    refused = await browser.submit(form, first_name="", last_name="of my own")
    assert refused.form("/profile").fields["last_name"] == "of my own"
    path, opener, now = str(refused.answer.url), browser, clock.now()
    if opened_by == "ravi":
        opener = Browser(ravi)
    elif opened_by == "another session":
        await _sign_in(browser, asha, await Browser(Signed(asha.client, {}, "")).open("/sign-in"))
    elif opened_by == "tampered":
        path = path[:-6] + "AAAAAA"
    elif opened_by == "another page":
        path = path.replace("/profile", "/profile/pin")
    else:
        now += timedelta(seconds=MAX_AGE_SECONDS + 2)
    with clock.reading(lambda: now):
        page = await opener.open(path)
    assert page.status == httpx.codes.GONE
    assert "no longer here" in page.text
    assert "of my own" not in page.answer.text


async def test_a_form_without_a_session_is_kept_in_this_browser(user_app: RunningApp, asha: Signed) -> None:
    here, elsewhere = [Browser(Signed(asha.client, {}, "")) for _ in range(2)]
    sign_in = await here.open("/sign-in?next=/activity")
    refused = await here.submit(sign_in.form("/sign-in"), email="asha@example.com", password="not this one")
    for page in (refused, await here.open(f"/sign-in?form={GUEST}")):
        assert "Email and password do not match" in page.text
        assert page.form("/sign-in").fields == {"next": "/activity", "email": "asha@example.com", "password": ""}
    for nothing in (await here.open("/sign-in"), await here.open(f"/sign-up?form={GUEST}")):
        assert "asha@example.com" not in nothing.answer.text
    copied = await elsewhere.open(f"/sign-in?form={here.cookies[GUEST]}")
    assert "asha@example.com" not in copied.answer.text
    assert (await _sign_in(here, asha, refused)).path == "/activity"


async def _interrupted(browser: Browser, asha: Signed, shop: Signed) -> tuple[PageForm, Page]:
    form = (await browser.open(f"/pay/{shop.wallet_id}")).form("/send")
    form.fields |= {"amount": "250", "note": "chai for all"}
    await _sign_out_elsewhere(asha)
    return form, await browser.submit(form, pin=PIN)


async def test_a_form_after_its_session_is_back_when_the_same_owner_signs_in(
    browser: Browser, asha: Signed, shop: Signed
) -> None:
    form, sign_in = await _interrupted(browser, asha, shop)
    assert sign_in.form("/sign-in").fields["next"] == f"/send?form={INTERRUPTED}"
    assert "You were signed out. Sign in, and what you had typed is back." in sign_in.text
    refused = await _sign_in(browser, asha, sign_in, "not this one")
    page = await _sign_in(browser, asha, refused)
    assert page.path == "/send"
    assert "nothing was sent yet" in page.text
    assert (await shop.wallet())["balance"] == 0
    assert _kept(page) == (form.fields["idempotency_key"], "250", "chai for all")
    assert page.form("/send").fields["pin"] == ""
    receipts = [await browser.submit(each, pin=PIN) for each in (page.form("/send"), form)]
    assert receipts[0].path == receipts[1].path
    assert (await shop.wallet())["balance"] == 250_00


async def test_a_form_is_kept_when_its_session_has_expired(browser: Browser, asha: Signed, shop: Signed) -> None:
    form = (await browser.open(f"/pay/{shop.wallet_id}")).form("/send")
    later = clock.now() + EXPIRED
    with clock.reading(lambda: later):
        page = await _sign_in(browser, asha, await browser.submit(form, amount="250", note="chai", pin=PIN))
        assert _kept(page) == (form.fields["idempotency_key"], "250", "chai")
        assert (await browser.submit(page.form("/send"), pin=PIN)).path.startswith("/transfers/")


async def test_a_review_after_its_session_is_back_too(browser: Browser, asha: Signed, ravi: Signed) -> None:
    form = (await browser.open(f"/send?to={ravi.wallet_id}")).form("/send")
    review = await browser.submit(form, amount="10", note="chai")
    await _sign_out_elsewhere(asha)
    page = await _sign_in(browser, asha, await browser.submit(review.form("/send/review"), pin=PIN))
    assert page.path == "/send/review"
    assert "nothing was sent yet" in page.text
    assert (await browser.submit(page.form("/send/review"), pin=PIN)).path.startswith("/transfers/")
    assert (await ravi.wallet())["balance"] == 10_00


async def test_another_owner_who_signs_in_here_never_sees_it(
    browser: Browser, asha: Signed, ravi: Signed, shop: Signed
) -> None:
    _, sign_in = await _interrupted(browser, asha, shop)
    page = await _sign_in(browser, ravi, sign_in)
    assert page.status == httpx.codes.GONE
    assert "chai for all" not in page.answer.text


async def test_after_fifteen_minutes_it_is_gone(browser: Browser, asha: Signed, shop: Signed) -> None:
    _, sign_in = await _interrupted(browser, asha, shop)
    later = clock.now() + timedelta(seconds=MAX_AGE_SECONDS + 2)
    with clock.reading(lambda: later):
        page = await _sign_in(browser, asha, sign_in)
    assert page.status == httpx.codes.GONE
    assert "chai for all" not in page.answer.text


def _no_token(token: str) -> str:
    return ""


def _forged(token: str) -> str:
    return token[:-8] + "AAAAAAAA"


@pytest.mark.parametrize("change", [_no_token, _forged])
async def test_without_a_token_of_ours_nothing_is_kept(
    browser: Browser, shop: Signed, change: Callable[[str], str]
) -> None:
    form = (await browser.open(f"/pay/{shop.wallet_id}")).form("/send")
    browser.cookies["session"] = change(browser.cookies["session"])
    answer = await browser.post(form, amount="250", pin=PIN)
    assert answer.headers["location"] == "/sign-in"
    assert "set-cookie" not in answer.headers


async def test_the_browser_keeps_an_expired_token_for_a_day(user_app: RunningApp, asha: Signed) -> None:
    browser = Browser(Signed(asha.client, {}, ""))
    form = (await browser.open("/sign-in")).form("/sign-in")
    answer = await browser.post(form, email=asha.profile["email"], password=PASSWORD)
    [cookie] = [each for each in answer.headers.get_list("set-cookie") if each.startswith("session=")]
    [seconds] = [int(part[8:]) for part in cookie.split("; ") if part.startswith("Max-Age=")]
    assert seconds > EXPIRED.total_seconds()
    later = clock.now() + EXPIRED
    with clock.reading(lambda: later):
        assert (await browser.open("/")).path == "/sign-in"


async def test_a_form_after_its_session_keeps_no_secret(user_app: RunningApp, browser: Browser, asha: Signed) -> None:
    await _sign_out_elsewhere(asha)
    typed = dict.fromkeys(SECRETS, SECRET) | {"first_name": "Aasha"}
    answer = await browser.post(PageForm("post", "/profile"), **typed)
    content = user_app.app.state.form_seal._fernet.decrypt(browser.cookies[INTERRUPTED]).decode()
    assert "Aasha" in content
    assert SECRET not in content + str(answer.headers)


async def test_a_review_is_confirmed_by_what_it_showed_and_never_by_a_cookie(
    browser: Browser, asha: Signed, shop: Signed, ravi: Signed
) -> None:
    _, sign_in = await _interrupted(browser, asha, shop)
    await _sign_in(browser, asha, sign_in)
    page = await browser.submit(PageForm("post", "/send/review", {"form": INTERRUPTED}), pin=PIN)
    assert page.path == "/send"
    assert "no longer here" in page.text
    assert (await shop.wallet())["balance"] == 0
