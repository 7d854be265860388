"""Errors as RFC 9457 `application/problem+json`. The one table from category to HTTP status."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic_core import to_jsonable_python
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from shared.errors import (
    BatuaError,
    Conflict,
    FieldError,
    Forbidden,
    Invalid,
    Locked,
    Malformed,
    NotFound,
    TooLarge,
    TooMany,
    TooSlow,
    Unaffordable,
    Unauthenticated,
    Unavailable,
    UnsupportedMedia,
    UpstreamFailed,
)
from shared.http.errors import InvalidRequest, MalformedJson

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:batua:problem:"
SCHEMA_REF = "#/components/schemas/Problem"

STATUS: Mapping[type[BatuaError], HTTPStatus] = {
    Malformed: HTTPStatus.BAD_REQUEST,
    Unauthenticated: HTTPStatus.UNAUTHORIZED,
    Unaffordable: HTTPStatus.PAYMENT_REQUIRED,
    Forbidden: HTTPStatus.FORBIDDEN,
    NotFound: HTTPStatus.NOT_FOUND,
    Conflict: HTTPStatus.CONFLICT,
    TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    UnsupportedMedia: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    Invalid: HTTPStatus.UNPROCESSABLE_ENTITY,
    Locked: HTTPStatus.LOCKED,
    TooSlow: HTTPStatus.REQUEST_TIMEOUT,
    TooMany: HTTPStatus.TOO_MANY_REQUESTS,
    UpstreamFailed: HTTPStatus.BAD_GATEWAY,
    Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}

PROBLEM_SCHEMA: dict[str, Any] = {
    "title": "Problem",
    "description": "An RFC 9457 problem; `code` is stable, the words are not. May carry facts as further members.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string", "examples": [f"{TYPE_PREFIX}insufficient_funds"]},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string"},
        "code": {"type": "string", "pattern": "^[a-z0-9_]+$", "examples": ["insufficient_funds"]},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}

# What the framework refuses by itself, before any of our code runs.
_CODES = {
    HTTPStatus.BAD_REQUEST: "malformed_request",
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "body_too_large",
}
_UNREADABLE_BODY = "There was an error parsing the body"
_MAX_ERRORS = 50
_MAX_FIELD_LENGTH = 200


def status_of(error: BatuaError | type[BatuaError]) -> int:
    """The HTTP status of an error's category; 500 for one that has none."""
    kind = error if isinstance(error, type) else type(error)
    return next((int(STATUS[base]) for base in kind.__mro__ if base in STATUS), 500)


def problem(error: BatuaError, headers: Mapping[str, str] | None = None) -> Response:
    """The response that tells a caller about `error`, with its facts as extension members."""
    sent = dict(headers or {})
    if isinstance(error, Unauthenticated):
        sent.setdefault("WWW-Authenticate", "Bearer")
    if isinstance(error, TooSlow):
        sent["Connection"] = "close"  # whatever still comes is not read
    if error.retry_after_seconds is not None:
        sent["Retry-After"] = str(max(1, error.retry_after_seconds))
    members = _members(status_of(error), error.code, error.title, error.detail)
    return _render(members, _facts(error), sent)


def problem_body(error: BatuaError) -> dict[str, Any]:
    """What `problem` would answer, as JSON, for an answer that tells of several refusals."""
    members = _members(status_of(error), error.code, error.title, error.detail)
    facts: dict[str, Any] = to_jsonable_python(_facts(error), fallback=str)
    return facts | members


def problem_responses(*error_classes: type[BatuaError]) -> dict[int | str, dict[str, Any]]:
    """What a route passes to FastAPI's `responses=`: each error it may answer, grouped by status."""
    grouped: dict[int, list[type[BatuaError]]] = {}
    for error_class in error_classes:
        grouped.setdefault(status_of(error_class), []).append(error_class)
    return {status: describe(status, classes) for status, classes in sorted(grouped.items())}


def describe(status: int, error_classes: Sequence[type[BatuaError]]) -> dict[str, Any]:
    """The OpenAPI response object of one status, with an example for each code."""
    examples = {
        each.code: {
            "summary": each.title,
            "value": _members(status, each.code, each.title, each.title),
        }
        for each in error_classes
    }
    content: dict[str, Any] = {"schema": {"$ref": SCHEMA_REF}}
    if examples:
        content["examples"] = examples
    phrase = HTTPStatus(status).phrase
    names = ", ".join(f"`{each.code}`" for each in error_classes)
    return {"description": f"{phrase}: {names}" if names else phrase, "content": {MEDIA_TYPE: content}}


async def answer_batua_error(_: Request, error: Exception) -> Response:
    """Handler for everything refused on purpose."""
    assert isinstance(error, BatuaError)
    return problem(error)


async def answer_http_error(_: Request, error: Exception) -> Response:
    """Handler for what the framework refuses: no such route, wrong method, unreadable body."""
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.BAD_REQUEST and error.detail == _UNREADABLE_BODY:
        return problem(MalformedJson())
    status = HTTPStatus(error.status_code)
    code = _CODES.get(status, status.name.lower())
    members = _members(status, code, status.phrase, status.description or status.phrase)
    return _render(members, {}, error.headers or {})


async def answer_validation_error(_: Request, error: Exception) -> Response:
    """Handler for bodies and parameters that break their schema. The refused input is never repeated."""
    assert isinstance(error, RequestValidationError)
    complaints = error.errors()[:_MAX_ERRORS]
    if any(each["type"] == "json_invalid" for each in complaints):
        return problem(MalformedJson())
    return problem(InvalidRequest([FieldError(_field(each["loc"]), _message(each)) for each in complaints]))


def _facts(error: BatuaError) -> dict[str, Any]:
    facts = error.facts()
    errors = getattr(error, "errors", None)
    if errors is not None:
        facts["errors"] = [{"field": each.field, "message": each.message} for each in errors]
    return facts


def _field(location: Sequence[Any]) -> str:
    where = location[1:] if location and location[0] in {"body", "query", "path", "header", "cookie"} else location
    return ".".join(str(part) for part in where)[:_MAX_FIELD_LENGTH] or "body"


def _message(complaint: Mapping[str, Any]) -> str:
    if complaint["type"] == "extra_forbidden":
        return "no such field"
    return str(complaint["msg"])


def _render(members: Mapping[str, Any], facts: Mapping[str, Any], headers: Mapping[str, str]) -> Response:
    content = to_jsonable_python(dict(facts), fallback=str) | members
    # ASCII only: a refused name may hold half a surrogate pair, which cannot be encoded.
    return Response(json.dumps(content), members["status"], headers=dict(headers), media_type=MEDIA_TYPE)


def _members(status: int, code: str, title: str, detail: str) -> dict[str, Any]:
    return {"type": f"{TYPE_PREFIX}{code}", "title": title, "status": int(status), "detail": detail, "code": code}
