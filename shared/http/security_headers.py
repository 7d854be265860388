"""The security headers of every response."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Our own pages learn which page sent a form; other sites learn no address, which may hold an id.
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_HSTS = "max-age=63072000; includeSubDomains"


def content_security_policy(form_targets: Sequence[str], *, is_local: bool) -> str:
    """Allow our own files only, and no inline script or style.

    Forms may lead to our own pages and to the origins `form_targets`: browsers apply `form-action` to the redirect
    after a form too.
    """
    parts = [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        " ".join(("form-action 'self'", *form_targets)),
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "object-src 'none'",
    ]
    return "; ".join(parts if is_local else [*parts, "upgrade-insecure-requests"])


def origin_of(url: str) -> str:
    """The origin of an address: `https://bank.example:8443`."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


class SecurityHeadersMiddleware:
    """Adds the headers that a response does not set itself. A response is stored only if it says that it may be."""

    def __init__(self, app: ASGIApp, *, form_targets: Sequence[str], is_local: bool) -> None:
        self._app = app
        self._headers = dict(_ALWAYS)
        self._headers["Content-Security-Policy"] = content_security_policy(form_targets, is_local=is_local)
        self._headers["Cache-Control"] = "no-store"
        if not is_local:
            self._headers["Strict-Transport-Security"] = _HSTS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_guarded)
