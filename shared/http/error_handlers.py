"""The exception handlers of every service: each error becomes a problem."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from shared.errors import BatuaError, FieldError
from shared.http.body_limit import UnreadBody
from shared.http.complaints import field_of, message_of
from shared.http.errors import InvalidRequest, MalformedJson
from shared.http.problems import plain_problem, problem

# The framework raises these itself, before a route runs.
_CODES = {
    HTTPStatus.BAD_REQUEST: "malformed_request",
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "body_too_large",
}
_UNREADABLE_BODY = "There was an error parsing the body"
_MAX_ERRORS = 50


def add_error_handlers(app: FastAPI) -> None:
    """Answer every error of `app` with problem+json."""
    app.add_exception_handler(BatuaError, answer_batua_error)
    app.add_exception_handler(UnreadBody, answer_unread_body)
    app.add_exception_handler(HTTPException, answer_http_error)
    app.add_exception_handler(RequestValidationError, answer_validation_error)


async def answer_batua_error(_: Request, error: Exception) -> Response:
    """Answer an error that our code raised."""
    assert isinstance(error, BatuaError)
    return problem(error)


async def answer_unread_body(_: Request, error: Exception) -> Response:
    """Answer a body that was too large or too slow."""
    assert isinstance(error, UnreadBody)
    return problem(error.error)


async def answer_http_error(_: Request, error: Exception) -> Response:
    """Answer an error of the framework: no such route, a wrong method, an unreadable body."""
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.BAD_REQUEST and error.detail == _UNREADABLE_BODY:
        return problem(MalformedJson())
    status = HTTPStatus(error.status_code)
    code = _CODES.get(status, status.name.lower())
    return plain_problem(status, code, status.description or status.phrase, error.headers or {})


async def answer_validation_error(_: Request, error: Exception) -> Response:
    """Answer a body or parameters that break their schema. The response never repeats what was sent."""
    assert isinstance(error, RequestValidationError)
    complaints = error.errors()[:_MAX_ERRORS]
    if any(each["type"] == "json_invalid" for each in complaints):
        return problem(MalformedJson())
    return problem(InvalidRequest([FieldError(field_of(each["loc"]), message_of(each)) for each in complaints]))
