"""Home puts people first, and no page is a dead end: short of money one adds some, and goes on."""

from __future__ import annotations

import pytest

from tests.support.apps import RunningApp, Signed
from tests.support.browsing import Browser


@pytest.fixture
def browser(asha: Signed) -> Browser:
    """Asha's, who has ₹1,000."""
    return Browser(asha)


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
