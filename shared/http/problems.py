"""Errors as RFC 9457 `application/problem+json`, and the only table from their category to an HTTP status."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from pydantic_core import to_jsonable_python
from starlette.responses import Response

from shared import spans
from shared.errors import (
    BatuaError,
    Conflict,
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
        "trace_id": {
            "type": "string",
            "pattern": "^[0-9a-f]{32}$",
            "description": "Where traces are recorded: name it when you ask about this request",
        },
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
        sent["Connection"] = "close"  # the rest of the body is not read
    if error.retry_after_seconds is not None:
        sent["Retry-After"] = str(max(1, error.retry_after_seconds))
    members = _members(status_of(error), error.code, error.title, error.detail)
    return _render(members, _facts(error), sent)


def plain_problem(status: HTTPStatus, code: str, detail: str, headers: Mapping[str, str]) -> Response:
    """The same for a refusal of the framework, which is no BatuaError."""
    return _render(_members(status, code, status.phrase, detail), {}, headers)


def problem_body(error: BatuaError) -> dict[str, Any]:
    """The JSON of `problem`, for a response that holds several errors."""
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


def _facts(error: BatuaError) -> dict[str, Any]:
    facts = error.facts()
    errors = getattr(error, "errors", None)
    if errors is not None:
        facts["errors"] = [{"field": each.field, "message": each.message} for each in errors]
    return facts


def _render(members: Mapping[str, Any], facts: Mapping[str, Any], headers: Mapping[str, str]) -> Response:
    content = to_jsonable_python(dict(facts), fallback=str) | members
    trace_id = spans.trace_id()
    if trace_id is not None:
        content["trace_id"] = trace_id
    # ASCII only: an invalid name may hold half a surrogate pair, which UTF-8 cannot encode.
    return Response(json.dumps(content), members["status"], headers=dict(headers), media_type=MEDIA_TYPE)


def _members(status: int, code: str, title: str, detail: str) -> dict[str, Any]:
    return {"type": f"{TYPE_PREFIX}{code}", "title": title, "status": int(status), "detail": detail, "code": code}
