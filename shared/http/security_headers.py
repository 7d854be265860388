"""The security headers of every response."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from urllib.parse import urlsplit


def permissions_policy(*, camera: bool = False) -> str:
    """Which features of the device our pages may ask for: none, or the camera."""
    return f"camera=({'self' if camera else ''}), geolocation=(), microphone=(), payment=(), usb=()"


_ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    # Our own pages learn which page sent a form; other sites learn no address, which may hold an id.
    (b"referrer-policy", b"same-origin"),
    (b"permissions-policy", permissions_policy().encode()),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_NOT_STORED = (b"cache-control", b"no-store")
_HSTS = (b"strict-transport-security", b"max-age=63072000; includeSubDomains")

RawHeader = tuple[bytes, bytes]


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
        "manifest-src 'self'",
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


class SecurityHeaders:
    """The headers that a response does not set itself. A response is stored only if it says that it may be."""

    def __init__(self, *, form_targets: Sequence[str], is_local: bool) -> None:
        self._form_targets = form_targets
        self._is_local = is_local

    def completed(self, headers: Iterable[RawHeader], *more: RawHeader) -> list[RawHeader]:
        """`headers` as a response sent them, then the security headers that are not among them, then `more`."""
        own, names = self._own
        given = list(headers)
        present = {name for name, _ in given}
        missing = own if present.isdisjoint(names) else [header for header in own if header[0] not in present]
        return [*given, *missing, *more]

    @cached_property
    def _own(self) -> tuple[tuple[RawHeader, ...], frozenset[bytes]]:
        """Made for the first response: until then pages add their form targets."""
        policy = content_security_policy(self._form_targets, is_local=self._is_local)
        own: tuple[RawHeader, ...] = (*_ALWAYS, (b"content-security-policy", policy.encode()), _NOT_STORED)
        if not self._is_local:
            own = (*own, _HSTS)
        return own, frozenset(name for name, _ in own)
