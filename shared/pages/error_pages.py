"""Errors as pages, with the status and the words of the problem. An error of a form leads back to the form.

Without a session: the sign-in page.
"""

from __future__ import annotations

import json
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from shared.auth.errors import NO_SESSION
from shared.db.outages import DATABASE_ERRORS
from shared.errors import BatuaError, Unauthenticated
from shared.http import error_handlers
from shared.http.body_limit import UnreadBody
from shared.http.cookies import SESSION_COOKIE
from shared.http.dependencies import signed_in
from shared.http.errors import InternalError, ServiceUnavailable
from shared.pages.forms import Form
from shared.pages.kept_forms import forms_kept
from shared.pages.paths import sign_in_path
from shared.pages.rendering import render, see_other

_OUTAGES = (InternalError, ServiceUnavailable)
"""Nothing in a form can mend these, and its page may not come either."""
_FOR_MACHINES = ("/api", "/healthz", "/readyz", "/openapi.json")
_HEADINGS = {
    HTTPStatus.BAD_REQUEST: "The request could not be read",
    HTTPStatus.PAYMENT_REQUIRED: "Not enough money",
    HTTPStatus.FORBIDDEN: "That is not allowed",
    HTTPStatus.NOT_FOUND: "There is nothing at this address",
    HTTPStatus.METHOD_NOT_ALLOWED: "This page cannot be opened that way",
    HTTPStatus.CONFLICT: "This is no longer possible",
    HTTPStatus.REQUEST_TIMEOUT: "The request did not arrive in time",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The request is too large",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Something in that address is not right",
    HTTPStatus.LOCKED: "Locked for a while",
    HTTPStatus.TOO_MANY_REQUESTS: "Too many requests",
    HTTPStatus.INTERNAL_SERVER_ERROR: "Something went wrong on our side",
    HTTPStatus.BAD_GATEWAY: "The bank did not answer",
    HTTPStatus.SERVICE_UNAVAILABLE: "Batua cannot do this right now",
}
_SENTENCES = {
    HTTPStatus.NOT_FOUND: "The link may be old, or it belongs to another account.",
    HTTPStatus.METHOD_NOT_ALLOWED: "Go back to the page you came from and use the button there.",
    HTTPStatus.INTERNAL_SERVER_ERROR: "No money has moved without being written down. Look at your activity before "
    "you try again.",
    HTTPStatus.SERVICE_UNAVAILABLE: "Try again in a few seconds. The same form sent again pays once.",
}


def add_error_pages(app: FastAPI) -> None:
    """Answer errors of `app` with pages where a browser opened a page, and with problems elsewhere."""
    app.add_exception_handler(BatuaError, answer_batua_error)
    app.add_exception_handler(UnreadBody, answer_unread_body)
    app.add_exception_handler(HTTPException, answer_http_error)
    app.add_exception_handler(RequestValidationError, answer_validation_error)


def wants_page(request: Request) -> bool:
    """Whether a browser opened a page, as opposed to a program that called the API."""
    if request.url.path.startswith(_FOR_MACHINES):
        return False
    return "text/html" in request.headers.get("accept", "")


async def answer_batua_error(request: Request, error: Exception) -> Response:
    """Answer an error that our code raised: at the form that was sent, on the sign-in page, or as a page."""
    assert isinstance(error, BatuaError)
    form: Form | None = getattr(request.state, "form", None)
    if form is not None and not isinstance(error, _OUTAGES):
        kept = await forms_kept(request, request.app.state.resources)
        return kept.interrupted(form) if isinstance(error, NO_SESSION) else kept.refused(form, error)
    if isinstance(error, Unauthenticated) and wants_page(request):
        return see_other(sign_in_path(request))
    return await _as_page(request, await error_handlers.answer_batua_error(request, error))


async def answer_unread_body(request: Request, error: Exception) -> Response:
    """Answer a body that was too large or too slow."""
    return await _as_page(request, await error_handlers.answer_unread_body(request, error))


async def answer_http_error(request: Request, error: Exception) -> Response:
    """Answer an error of the framework."""
    return await _as_page(request, await error_handlers.answer_http_error(request, error))


async def answer_validation_error(request: Request, error: Exception) -> Response:
    """Answer invalid parameters. An id in an address that cannot be an id leads nowhere: 404."""
    assert isinstance(error, RequestValidationError)
    if wants_page(request) and any(each["loc"][0] == "path" for each in error.errors()):
        return await answer_http_error(request, HTTPException(404))
    return await _as_page(request, await error_handlers.answer_validation_error(request, error))


async def _as_page(request: Request, problem: Response) -> Response:
    if not wants_page(request):
        return problem
    await _find_caller(request, HTTPStatus(problem.status_code))
    status = HTTPStatus(problem.status_code)
    detail = str(json.loads(bytes(problem.body))["detail"])
    headers = {name: value for name, value in problem.headers.items() if not name.startswith("content-")}
    return render(
        request,
        "error.html",
        status=status,
        headers=headers,
        code=int(status),
        heading=_HEADINGS.get(status, status.phrase),
        sentence=_SENTENCES.get(status, detail),
    )


async def _find_caller(request: Request, status: HTTPStatus) -> None:
    """Look for the caller if no route did, so that the error's page keeps the navigation of a signed-in person.

    When we have failed, the cookie alone counts: the database may be away, and is not asked once more.
    """
    if not request.cookies.get(SESSION_COOKIE):
        return
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        request.state.keeps_navigation = True
    elif getattr(request.state, "caller", None) is None:
        try:
            await signed_in(request)
        except BatuaError:
            return
        except DATABASE_ERRORS:
            request.state.keeps_navigation = True
