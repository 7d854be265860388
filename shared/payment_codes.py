"""The QR code that others scan to pay a wallet: a `upi://pay` URI as SVG or PNG."""

from __future__ import annotations

from io import BytesIO
from typing import Literal
from urllib.parse import quote

import segno

from shared.money import INR, Money

Format = Literal["svg", "png"]

_ERROR_CORRECTION = "m"
"""Level M: the code can be read with 15 % of it damaged."""
_QUIET_ZONE_MODULES = 4
_SVG_SCALE, _PNG_SCALE = 8, 16
_DARK, _LIGHT = "#000", "#fff"


def payment_uri(*, wallet_id: str, business_name: str | None = None, amount: int | None = None) -> str:
    """`upi://pay?pa=...&pn=...&cu=INR`, with `am` in rupees if an `amount` (paise) is given.

    A person's has no `pn`: who scans it sees the name where it is paid.
    """
    name = "" if business_name is None else f"&pn={quote(business_name, safe='')}"
    uri = f"upi://pay?pa={quote(wallet_id, safe='@')}{name}&cu={INR}"
    return uri if amount is None else f"{uri}&am={Money(amount).to_rupees()}"


def draw(uri: str, kind: Format) -> bytes:
    """The image, black on white in both themes, because scanners need the contrast."""
    code = segno.make_qr(uri, error=_ERROR_CORRECTION)
    picture = BytesIO()
    scale = _SVG_SCALE if kind == "svg" else _PNG_SCALE
    code.save(picture, kind=kind, scale=scale, border=_QUIET_ZONE_MODULES, dark=_DARK, light=_LIGHT)
    return picture.getvalue()


def draw_inline(uri: str) -> str:
    """The same as an element of a page, which gives it its size. Takes 4 ms of CPU."""
    code = segno.make_qr(uri, error=_ERROR_CORRECTION)
    return code.svg_inline(border=_QUIET_ZONE_MODULES, dark=_DARK, light=_LIGHT, omitsize=True, svgclass=None)
