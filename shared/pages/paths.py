"""The next page, as an address names it: only a page of our own."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

from fastapi import Request

SIGN_IN, SIGN_UP = "/sign-in", "/sign-up"
EMAIL = "/profile/email"
"""Where an address is confirmed or corrected."""
GUEST_PAGES = frozenset({SIGN_IN, SIGN_UP})
"""The pages whose forms are sent without a session."""
MAX_LENGTH = 1024

# One slash, then no slash and no backslash, which browsers read as one. No character that browsers drop.
_OWN_PATH = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*")


def own_path(path: str | None, otherwise: str = "/") -> str:
    """`path` if it is a page of this app other than signing in, up or out; else `otherwise`."""
    if path is None or len(path) > MAX_LENGTH or not _OWN_PATH.fullmatch(path):
        return otherwise
    return otherwise if path.partition("?")[0] in {*GUEST_PAGES, "/sign-out"} else path


def sign_in_path(request: Request) -> str:
    """The sign-in page that leads back to this page, or to the page whose form was sent."""
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return sign_in_before(here if request.method in {"GET", "HEAD"} else _page_before(request))


def sign_in_before(path: str | None) -> str:
    """The sign-in page that leads to `path` if that is a page of this app, else home."""
    wanted = own_path(path)
    return SIGN_IN if wanted == "/" else f"{SIGN_IN}?next={quote(wanted, safe='/')}"


def _page_before(request: Request) -> str | None:
    try:
        referer = urlsplit(request.headers.get("referer", ""))
    except ValueError:
        return None
    if referer.netloc != request.headers.get("host"):
        return None
    return referer.path + (f"?{referer.query}" if referer.query else "")
