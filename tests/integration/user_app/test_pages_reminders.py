"""Secrets set before those easy to guess were refused: they go on working, and home reminds of them."""

from __future__ import annotations

import httpx
from sqlalchemy import update

from shared.models import Owner
from tests.support.apps import PASSWORD, PIN, RunningApp, Signed
from tests.support.browsing import Browser

WEAK_PASSWORD, WEAK_PIN = "password123", "1234"
EASY_PASSWORD, EASY_PIN = "Your password is easy to guess", "Your PIN is easy to guess"


async def _set_weak_secrets(user_app: RunningApp, owner: Signed) -> None:
    hasher = user_app.app.state.resources.hasher
    hashes = {
        "password_hash": await hasher.hash_password(WEAK_PASSWORD),
        "pin_hash": await hasher.hash_pin(WEAK_PIN),
    }
    async with user_app.sessionmaker.begin() as session:
        await session.execute(update(Owner).where(Owner.id == owner.id).values(hashes))


async def _sign_in(browser: Browser, owner: Signed, password: str) -> str:
    await browser.submit((await browser.open("/profile")).form("/sign-out"))
    form = (await browser.open("/sign-in")).form("/sign-in")
    return (await browser.submit(form, email=owner.profile["email"], password=password)).text


async def _move(browser: Browser, pin: str) -> httpx.Response:
    await browser.submit((await browser.open("/pots")).form("/pots"), name="Goa trip")
    return await browser.post((await browser.open("/pots")).form("/pots/move"), amount="10", pin=pin)


async def test_home_reminds_of_secrets_that_are_easy_to_guess(user_app: RunningApp, asha: Signed) -> None:
    browser = Browser(asha)
    await _set_weak_secrets(user_app, asha)
    assert EASY_PASSWORD in await _sign_in(browser, asha, WEAK_PASSWORD)
    assert EASY_PIN not in (await browser.open("/")).text
    wrong = await _move(browser, "1111")
    assert "weak_pin" not in wrong.headers.get("set-cookie", "")
    moved = await _move(browser, WEAK_PIN)
    assert "/transfers/" in moved.headers["location"]
    await browser.follow(moved)
    assert EASY_PIN in (await browser.open("/")).text

    form = (await browser.open("/profile/pin")).form("/profile/pin")
    refused = await browser.submit(form, current_password=WEAK_PASSWORD, new_pin="4321")
    assert 'id="new_pin-error"' in refused.answer.text
    assert "Easy to guess; choose digits" in refused.text
    await browser.submit(form, current_password=WEAK_PASSWORD, new_pin=PIN)
    home = (await browser.open("/")).text
    assert (EASY_PASSWORD in home, EASY_PIN in home) == (True, False)

    form = (await browser.open("/profile/password")).form("/profile/password")
    await browser.submit(form, current_password=WEAK_PASSWORD, new_password=PASSWORD)
    assert EASY_PASSWORD not in (await browser.open("/")).text


async def test_who_signs_in_next_is_not_reminded_of_secrets_of_another(
    user_app: RunningApp, asha: Signed, ravi: Signed
) -> None:
    browser = Browser(asha)
    await _set_weak_secrets(user_app, asha)
    await _sign_in(browser, asha, WEAK_PASSWORD)
    home = await _sign_in(browser, ravi, PASSWORD)
    assert "Namaste, Ravi" in home
    assert "easy to guess" not in home
