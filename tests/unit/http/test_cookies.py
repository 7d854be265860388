from __future__ import annotations

from datetime import timedelta
from typing import Literal

import pytest
from starlette.requests import Request
from starlette.responses import Response

from shared import clock
from shared.config import Settings
from shared.http.cookies import require_same_origin, set_session_cookie
from shared.http.errors import CrossOrigin


def asking(method: str = "POST", **headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": method, "path": "/", "headers": [(b"host", b"batua.test:8001"), *raw]})


@pytest.mark.parametrize(
    "headers",
    [
        {"sec_fetch_site": "same-origin"},
        {"sec_fetch_site": "none"},
        {"origin": "http://batua.test:8001"},
        {"sec_fetch_site": "same-origin", "origin": "http://evil.test"},
    ],
)
def test_requests_of_our_own_pages_are_accepted(headers: dict[str, str]) -> None:
    require_same_origin(asking(**headers))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": "cross-site", "origin": "http://batua.test:8001"},
        {"origin": "http://evil.test"},
        {"origin": "http://batua.test"},
        {"origin": "null"},
        {"origin": "http://[batua.test:8001"},
    ],
)
def test_requests_of_other_sites_are_rejected(headers: dict[str, str]) -> None:
    with pytest.raises(CrossOrigin):
        require_same_origin(asking(**headers))


def test_a_get_needs_no_origin() -> None:
    require_same_origin(asking("GET", sec_fetch_site="cross-site"))


@pytest.mark.parametrize(("env", "is_secure"), [("local", False), ("production", True)])
def test_the_cookie_is_hidden_from_scripts_and_secure_in_production(
    env: Literal["local", "production"], is_secure: bool
) -> None:
    response = Response()
    settings = Settings.model_construct(env=env)
    set_session_cookie(response, settings=settings, token="t", expires_at=clock.now() + timedelta(hours=1))
    cookie = response.headers["set-cookie"]
    assert cookie.startswith("session=t;")
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/" in cookie
    assert ("Secure" in cookie) is is_secure
