"""A state of an on-ramp has one name, wherever a page names it."""

from __future__ import annotations

import pytest

from shared import clock
from shared.models import OnRamp
from shared.models.on_ramp import OnRampStatus
from shared.on_ramps.settlement import settle
from tests.support.apps import RunningApp
from tests.support.bank_notices import payment_notice
from tests.support.browsing import Browser

NAMES = {
    OnRampStatus.PENDING: "Waiting for HDFC Bank",
    OnRampStatus.SUCCESS: "Money added",
    OnRampStatus.FAILURE: "No money added",
    OnRampStatus.EXPIRED: "Time ran out",
    OnRampStatus.CANCELLED: "Cancelled",
}


@pytest.mark.parametrize("status", OnRampStatus)
async def test_a_state_is_named_the_same_in_the_list_and_on_its_own_page(
    banked_app: RunningApp, status: OnRampStatus
) -> None:
    meera = await banked_app.person("Meera")
    started = (await meera.post("/on-ramps", bank="hdfc", amount=100)).json()
    async with banked_app.sessionmaker.begin() as session:
        on_ramp = await session.get_one(OnRamp, started["id"])
        if status is OnRampStatus.SUCCESS:
            await settle(session, payment_notice(on_ramp))
        elif status is not OnRampStatus.PENDING:
            on_ramp.status, on_ramp.settled_at = status, clock.now()
    browser = Browser(meera)
    own = await browser.open(f"/on-ramps/{started['id']}")
    listed = await browser.open("/add-money")
    assert f"<h1>{NAMES[status]}</h1>" in own.answer.text
    assert NAMES[status] in listed.text
    assert not [name for name in NAMES.values() if name != NAMES[status] and name in listed.text]


async def test_a_button_cancels_it_and_its_page_says_so(banked_app: RunningApp) -> None:
    meera = await banked_app.person("Meera")
    started = (await meera.post("/on-ramps", bank="hdfc", amount=100)).json()
    browser = Browser(meera)
    page = await browser.open(f"/on-ramps/{started['id']}")
    cancelled = await browser.submit(page.form(f"{page.path}/cancel"))
    assert (cancelled.path, "Cancelled" in cancelled.text) == (page.path, True)
    again = await browser.submit(page.form(f"{page.path}/cancel"))
    assert "cannot be approved at HDFC Bank any more" in again.text
