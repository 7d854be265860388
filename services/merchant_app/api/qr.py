"""The shop's QR code: SVG for screens and print, PNG for everything else."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response

from shared.auth.queries import get_shop_profile
from shared.auth.views import ShopProfile
from shared.http.dependencies import Caller, CurrentResources
from shared.money import MAX_MOVEMENT_PAISE
from shared.payment_codes import Format, draw, payment_uri

router = APIRouter(tags=["qr"])

MEDIA_TYPES: dict[Format, str] = {"svg": "image/svg+xml", "png": "image/png"}
MAX_ETAG_LENGTH = 1000

Amount = Annotated[
    int | None, Query(ge=1, le=MAX_MOVEMENT_PAISE, description="Ask for this many paise", examples=[20000])
]
KnownTag = Annotated[
    str | None, Header(alias="If-None-Match", max_length=MAX_ETAG_LENGTH, description="The `ETag` of a cached copy")
]


def _answers(kind: Format) -> dict[int | str, dict[str, Any]]:
    etag = {"ETag": {"description": "Identifies this image", "schema": {"type": "string"}}}
    image = {MEDIA_TYPES[kind]: {"schema": {"type": "string", "format": "binary"}}}
    return {
        200: {"description": "The image", "content": image, "headers": etag},
        304: {"description": "The cached copy is current", "headers": etag},
    }


@router.get("/qr.svg", response_class=Response, responses=_answers("svg"))
async def get_qr_svg(
    caller: Caller, resources: CurrentResources, amount: Amount = None, known: KnownTag = None
) -> Response:
    """The QR code that customers scan to pay this shop, as SVG."""
    return _respond(await get_shop_profile(resources.reads, caller.owner_id), amount, known, "svg")


@router.get("/qr.png", response_class=Response, responses=_answers("png"))
async def get_qr_png(
    caller: Caller, resources: CurrentResources, amount: Amount = None, known: KnownTag = None
) -> Response:
    """The QR code that customers scan to pay this shop, as PNG."""
    return _respond(await get_shop_profile(resources.reads, caller.owner_id), amount, known, "png")


def _respond(shop: ShopProfile, amount: int | None, known: str | None, kind: Format) -> Response:
    uri = payment_uri(wallet_id=shop.wallet_id, business_name=shop.business_name, amount=amount)
    etag = f'"{hashlib.sha256(f"{kind} {uri}".encode()).hexdigest()[:32]}"'
    # private: only this browser may cache it; no-cache: it asks each time, since another shop may sign in there.
    headers = {"ETag": etag, "Cache-Control": "private, no-cache", "Vary": "Authorization, Cookie"}
    if known is not None and etag in {tag.strip().removeprefix("W/") for tag in known.split(",")}:
        return Response(status_code=304, headers=headers)
    return Response(draw(uri, kind), headers=headers, media_type=MEDIA_TYPES[kind])
