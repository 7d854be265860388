"""The page that reads a QR code, from a photo or through the camera, and payment links that are pasted or shared.

It only leads to the page that pays; nothing moves before the PIN is typed there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser

from services.user_app.payment_links import PaymentLink, UnreadableLink, read_payment_link
from services.user_app.photographed_codes import MAX_PHOTO_BYTES, CodeReader, UnreadablePhoto
from shared.auth.errors import AuthenticationRequired
from shared.http.cookies import require_same_origin
from shared.http.dependencies import Caller, signed_in
from shared.http.security_headers import permissions_policy
from shared.pages.forms import Form, shown_with_errors
from shared.pages.kept_forms import CurrentKept
from shared.pages.rendering import render, see_other

router = APIRouter()

SCAN_PATH, FRAMES_PATH = "/scan", "/scan/frames"
MAX_FRAME_BYTES = 512 * 1024
LARGER_BODIES = {SCAN_PATH: MAX_PHOTO_BYTES + 64 * 1024, FRAMES_PATH: MAX_FRAME_BYTES}
"""A photo comes with the other parts of its form around it."""

_MAX_FIELDS = 5
_HEADERS = {"permissions-policy": permissions_policy(camera=True)}
_NO_CODE = "There is no QR code in this photo. Go closer, hold still, and let all of the code be in it."
_SEVERAL = "There are several codes in this photo, and it is not clear which one to pay. Photograph one of them."


class _InMemoryParser(MultiPartParser):
    """Keeps a photo in memory: it must not be written to a disk."""

    spool_max_size = MAX_PHOTO_BYTES


async def code_reader(request: Request) -> CodeReader:
    """The reader of this process."""
    reader: CodeReader = request.app.state.code_reader
    return reader


Reader = Annotated[CodeReader, Depends(code_reader)]


@router.get(SCAN_PATH)
async def show_scan(request: Request, caller: Caller, kept: CurrentKept) -> Response:
    """The forms. A link that another app shared is in `text` or `url`, and leads on at once."""
    asked = request.query_params
    shared_link = asked.get("url") or asked.get("text")
    form = Form({} if shared_link is None else {"link": shared_link})
    if shared_link is not None:
        with form.catching():
            return see_other(_read(request, shared_link).path)
    form = kept.form(form)
    return render(request, "scan.html", status=form.status, headers=_HEADERS, form=form)


@router.post(SCAN_PATH)
async def scan(request: Request, kept: CurrentKept, reader: Reader) -> Response:
    """Lead on to the page that pays what the photo or the link asks for, or say why there is none.

    The form is read before the session is checked, so that a link is kept when that has ended; a stranger's never is.
    """
    require_same_origin(request)
    if kept.claims is None:
        raise AuthenticationRequired
    form, photo = await _submitted(request)
    shown_with_errors(request, form)
    caller = (await signed_in(request)).identity
    if photo is None:
        return see_other(_read(request, form.value("link")).path)
    codes = await reader.read(photo, owner_id=caller.owner_id)
    if not codes:
        raise UnreadablePhoto(_NO_CODE)
    return see_other(_only(request, codes).path)


@router.post(FRAMES_PATH)
async def scan_frame(request: Request, caller: Caller, reader: Reader) -> Response:
    """One frame of the camera, an image as the body. The answer has the `path` of the page that pays, or a `message`
    when the code asks for no payment; without a code in the frame it has neither.
    """
    require_same_origin(request)
    codes = await reader.read(await request.body(), owner_id=caller.owner_id)
    try:
        return JSONResponse({"path": _only(request, codes).path} if codes else {})
    except UnreadablePhoto as error:
        return JSONResponse({"message": error.detail})


def _read(request: Request, text: str) -> PaymentLink:
    return read_payment_link(text, own_host=request.url.netloc)


def _only(request: Request, codes: Sequence[str]) -> PaymentLink:
    """The one payment that the codes of a photo ask for. Raises UnreadablePhoto."""
    if len(codes) > 1:
        raise UnreadablePhoto(_SEVERAL)
    try:
        return _read(request, codes[0])
    except UnreadableLink as error:
        raise UnreadablePhoto(error.detail) from None


async def _submitted(request: Request) -> tuple[Form, bytes | None]:
    """The form that was sent and the photo in it. A part that is no form field of ours is left out."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise HTTPException(400)
    parser = _InMemoryParser(request.headers, request.stream(), max_files=1, max_fields=_MAX_FIELDS)
    try:
        sent = await parser.parse()
    except MultiPartException:
        raise HTTPException(400) from None
    photo, link = sent.get("photo"), sent.get("link")
    content = await photo.read() if isinstance(photo, UploadFile) else b""
    await sent.close()
    if content:
        return Form({"photo": ""}), content
    return Form({"link": link if isinstance(link, str) else ""}), None
