"""The session cookie of browsers, and the check that a request with it comes from our own pages."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from shared import clock
from shared.config import Settings
from shared.http.errors import CrossOrigin

SESSION_COOKIE = "session"
DEVICE_COOKIE = "known_device"
"""Outlives every session: the browser keeps it when its owner signs out."""
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
OUTLIVES_TOKEN_SECONDS = 24 * 3600
"""The browser keeps an expired token for a while: it says whose form it was that came too late."""
_OWN_SITE = {"same-origin", "none"}


def set_session_cookie(response: Response, *, settings: Settings, token: str, expires_at: datetime) -> None:
    """Set the cookie of a session, which outlives its token by OUTLIVES_TOKEN_SECONDS."""
    lifetime_seconds = max(0, int((expires_at - clock.now()).total_seconds()))
    set_cookie(response, SESSION_COOKIE, token, settings=settings, max_age=lifetime_seconds + OUTLIVES_TOKEN_SECONDS)


def set_cookie(response: Response, name: str, value: str, *, settings: Settings, max_age: int, path: str = "/") -> None:
    """Set a cookie for `path`, for `max_age` seconds, that scripts cannot read; with `Secure`, unless BATUA_ENV is
    local.
    """
    response.set_cookie(
        name,
        value,
        max_age=max_age,
        path=path,
        secure=settings.env != "local",
        httponly=True,
        samesite="lax",
    )


def clear_session_cookie(response: Response, *, settings: Settings) -> None:
    """Make the browser forget the token."""
    response.delete_cookie(SESSION_COOKIE, path="/", secure=settings.env != "local", httponly=True, samesite="lax")


def require_same_origin(request: Request) -> None:
    """Check a request that changes something and is authenticated by the cookie alone. Raises CrossOrigin.

    Sec-Fetch-Site decides, or Origin without it. A request with neither is rejected: every current browser sends one.
    """
    if request.method in SAFE_METHODS:
        return
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        if site.lower() not in _OWN_SITE:
            raise CrossOrigin
        return
    try:
        origin = urlsplit(request.headers.get("origin", "")).netloc
    except ValueError:
        raise CrossOrigin from None
    if not origin or origin.lower() != request.headers.get("host", "").lower():
        raise CrossOrigin
