"""Where to go next, when the address itself says so: only to a page of our own."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

from fastapi import Request

SIGN_IN = "/sign-in"
MAX_LENGTH = 1024

# One slash and then neither another nor a backslash, which browsers read as one; nothing they would drop.
_OWN_PATH = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]*")


def own_path(path: str | None, otherwise: str = "/") -> str:
    """`path` when it leads to a page of this app, else `otherwise`: never to another site, never back to sign-in."""
    if path is None or len(path) > MAX_LENGTH or not _OWN_PATH.fullmatch(path):
        return otherwise
    return otherwise if path.partition("?")[0] in {SIGN_IN, "/sign-up", "/sign-out"} else path


def sign_in_path(request: Request) -> str:
    """The sign-in page that leads back to where somebody was: for a form, the page that holds it."""
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    wanted = own_path(here if request.method in {"GET", "HEAD"} else _page_before(request))
    return SIGN_IN if wanted == "/" else f"{SIGN_IN}?next={quote(wanted, safe='/')}"


def _page_before(request: Request) -> str | None:
    try:
        referer = urlsplit(request.headers.get("referer", ""))
    except ValueError:
        return None
    if referer.netloc != request.headers.get("host"):
        return None
    return referer.path + (f"?{referer.query}" if referer.query else "")
