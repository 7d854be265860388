"""Pages of errors and of wrong filters: they keep the navigation and say what to do."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from shared.auth.sessions import Sessions
from tests.support.apps import RunningApp, Signed
from tests.support.browsing import Browser


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/transfers/none", 404),
        ("GET", "/withdrawals/none", 404),
        ("PUT", "/send", 405),
    ],
)
async def test_an_error_keeps_the_navigation_of_a_signed_in_person(
    user_app: RunningApp, asha: Signed, method: str, path: str, status: int
) -> None:
    browser = Browser(asha)
    await browser.open("/")
    page = await browser.request(method, path)
    assert (page.status, 'aria-label="Main"' in page.answer.text) == (status, True)
    stranger = await user_app.client.request(method, path, headers={"Accept": "text/html"})
    assert 'aria-label="Main"' not in stranger.text


async def test_when_we_fail_the_navigation_stays(asha: Signed, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = Browser(asha)

    async def fail(*_: Any, **__: Any) -> Any:
        raise ConnectionError

    monkeypatch.setattr(Sessions, "check", fail)
    page = await browser.request("GET", "/activity")
    assert (page.status, 'aria-label="Main"' in page.answer.text) == (503, True)


async def test_a_range_that_ends_before_it_begins_is_refused_with_words(asha: Signed) -> None:
    browser = Browser(asha)
    page = await browser.open("/activity?since=2026-11-20&until=2026-11-19")
    assert page.status == httpx.codes.UNPROCESSABLE_ENTITY
    assert "This day is before From" in page.text
    assert 'id="until-error"' in page.answer.text
    assert (await browser.open("/activity?since=2026-11-20&until=2026-11-20")).status == httpx.codes.OK
