"""Errors for people: the status and words of problem+json, as a page; for somebody signed out, the sign-in page."""

from __future__ import annotations

import json
from http import HTTPStatus

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from shared.errors import BatuaError, Unauthenticated
from shared.http import problems
from shared.http.middleware import UnreadBody
from shared.pages.paths import sign_in_path
from shared.pages.rendering import render, see_other

_FOR_MACHINES = ("/api", "/healthz", "/readyz", "/metrics", "/openapi.json")
_HEADINGS = {
    HTTPStatus.BAD_REQUEST: "That did not reach us in one piece",
    HTTPStatus.PAYMENT_REQUIRED: "Not enough money",
    HTTPStatus.FORBIDDEN: "That is not allowed",
    HTTPStatus.NOT_FOUND: "There is nothing at this address",
    HTTPStatus.METHOD_NOT_ALLOWED: "This page cannot be opened that way",
    HTTPStatus.CONFLICT: "That does not fit any more",
    HTTPStatus.REQUEST_TIMEOUT: "That did not reach us in time",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "That is too much at once",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Something in that address is not right",
    HTTPStatus.LOCKED: "Locked for a while",
    HTTPStatus.TOO_MANY_REQUESTS: "A little too often",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Something went wrong on our side",
    HTTPStatus.BAD_GATEWAY: "The bank did not answer",
    HTTPStatus.SERVICE_UNAVAILABLE: "We are catching our breath",
}
_SENTENCES = {
    HTTPStatus.NOT_FOUND: "The link may be old, or it belongs to somebody else's account.",
    HTTPStatus.METHOD_NOT_ALLOWED: "Go back to the page you came from and use the button there.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "No money has moved without being written down. Look at your activity before "
    "you try again.",
    HTTPStatus.SERVICE_UNAVAILABLE: "Your money is where it was. Try again in a few seconds.",
}


def wants_page(request: Request) -> bool:
    """A browser that opened a page, as opposed to a program that called the API."""
    if request.url.path.startswith(_FOR_MACHINES) or not hasattr(request.app.state, "pages"):
        return False
    return "text/html" in request.headers.get("accept", "")


def refusal(request: Request, error: BatuaError) -> Response:
    """The answer to something refused on purpose."""
    if not wants_page(request):
        return problems.problem(error)
    if isinstance(error, Unauthenticated):
        return see_other(sign_in_path(request))
    return _page(request, problems.problem(error))


async def answer_batua_error(request: Request, error: Exception) -> Response:
    """Handler for everything refused on purpose."""
    assert isinstance(error, BatuaError)
    return refusal(request, error)


async def answer_unread_body(request: Request, error: Exception) -> Response:
    """Handler for a body that was too large or too slow."""
    assert isinstance(error, UnreadBody)
    return refusal(request, error.error)


async def answer_http_error(request: Request, error: Exception) -> Response:
    """Handler for what the framework refuses."""
    refused = await problems.answer_http_error(request, error)
    return _page(request, refused) if wants_page(request) else refused


async def answer_validation_error(request: Request, error: Exception) -> Response:
    """Handler for addresses that cannot be: an id that is none leads nowhere."""
    assert isinstance(error, RequestValidationError)
    if wants_page(request) and any(each["loc"][0] == "path" for each in error.errors()):
        return await answer_http_error(request, HTTPException(404))
    refused = await problems.answer_validation_error(request, error)
    return _page(request, refused) if wants_page(request) else refused


def _page(request: Request, refused: Response) -> Response:
    status = HTTPStatus(refused.status_code)
    detail = str(json.loads(bytes(refused.body))["detail"])
    headers = {name: value for name, value in refused.headers.items() if not name.startswith("content-")}
    return render(
        request,
        "error.html",
        status=status,
        headers=headers,
        code=int(status),
        heading=_HEADINGS.get(status, status.phrase),
        sentence=_SENTENCES.get(status, detail),
    )
