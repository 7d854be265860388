"""The session cookie of browsers, and the check that keeps other sites from using it."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from shared import clock
from shared.config import Settings
from shared.http.errors import CrossOrigin

SESSION_COOKIE = "session"
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
_OUR_OWN = {"same-origin", "none"}


def set_session_cookie(response: Response, *, settings: Settings, token: str, expires_at: datetime) -> None:
    """Keep the token where scripts cannot read it; over TLS only, except on a developer's machine."""
    response.set_cookie(
        SESSION_COOKIE,
        token,
        max_age=max(0, int((expires_at - clock.now()).total_seconds())),
        path="/",
        secure=settings.env != "local",
        httponly=True,
        samesite="lax",
    )


def clear_session_cookie(response: Response, *, settings: Settings) -> None:
    """Make the browser forget the token."""
    response.delete_cookie(SESSION_COOKIE, path="/", secure=settings.env != "local", httponly=True, samesite="lax")


def require_same_origin(request: Request) -> None:
    """For a request that changes something and shows nothing but the cookie. Raises CrossOrigin.

    A browser that says neither where the request comes from nor how is refused: today's all say one of them.
    """
    if request.method in SAFE_METHODS:
        return
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        if site.lower() not in _OUR_OWN:
            raise CrossOrigin
        return
    try:
        origin = urlsplit(request.headers.get("origin", "")).netloc
    except ValueError:
        raise CrossOrigin from None
    if not origin or origin.lower() != request.headers.get("host", "").lower():
        raise CrossOrigin
