"""The published contract: completes the OpenAPI document that FastAPI derives.

A route declares its own errors with `problem_responses`. This module adds the errors common to all routes (unreadable
bodies, no token, a database that is away), and describes every property, parameter and tag.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from functools import partial
from typing import Any

from fastapi import FastAPI

from shared.api_reference.describe import describe as describe_names
from shared.api_reference.describe import operations, publish
from shared.auth.errors import AuthenticationRequired, TokenExpired, TokenInvalid, TokenRevoked
from shared.errors import BatuaError
from shared.http.errors import (
    BodyTooLarge,
    BodyTooSlow,
    CrossOrigin,
    InternalError,
    InvalidRequest,
    JsonRequired,
    MalformedJson,
    ServiceUnavailable,
)
from shared.http.problems import MEDIA_TYPE, PROBLEM_SCHEMA, describe, status_of
from shared.http.security import SCHEMES, operations_signed_in
from shared.http.vocabulary import VOCABULARY

_EVERYWHERE: tuple[type[BatuaError], ...] = (InternalError, ServiceUnavailable)
_WITH_INPUT: tuple[type[BatuaError], ...] = (InvalidRequest,)
_WITH_BODY: tuple[type[BatuaError], ...] = (MalformedJson, BodyTooSlow, BodyTooLarge, JsonRequired)
_SIGNED_IN: tuple[type[BatuaError], ...] = (AuthenticationRequired, TokenInvalid, TokenExpired, TokenRevoked)
_SIGNED_IN_AND_UNSAFE: tuple[type[BatuaError], ...] = (CrossOrigin,)
_SAFE = {"get", "head"}
_BAD_REQUEST, _NOT_FOUND = 400, 404


def publish_contract(app: FastAPI, *, description: str) -> None:
    """Publish the app's contract with every error and description at `/openapi.json`."""
    publish(app, description=description, complete=partial(_complete, app))


def _complete(app: FastAPI, schema: dict[str, Any]) -> None:
    schemas = schema.setdefault("components", {}).setdefault("schemas", {})
    for replaced in ("HTTPValidationError", "ValidationError"):
        schemas.pop(replaced, None)
    schemas["Problem"] = deepcopy(PROBLEM_SCHEMA)
    signed_in = operations_signed_in(app)
    if signed_in:
        schema["components"]["securitySchemes"] = deepcopy(SCHEMES)
    for path, method, operation in operations(schema):
        if (path, method) in signed_in:
            operation["security"] = [{name: []} for name in ("HTTPBearer", "APIKeyCookie")]
        _complete_operation(path, method, operation)
    describe_names(schema, VOCABULARY)


def _complete_operation(path: str, method: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    derived = responses.get("422", {}).get("content", {})
    if derived and MEDIA_TYPE not in derived:
        del responses["422"]
    for error_class in _common_errors(method, operation):
        _add(responses, error_class)
    # The server itself refuses what is not HTTP, and the router a path that does not match.
    responses.setdefault(str(_BAD_REQUEST), describe(_BAD_REQUEST, []))
    if "{" in path:
        responses.setdefault(str(_NOT_FOUND), describe(_NOT_FOUND, []))


def _common_errors(method: str, operation: dict[str, Any]) -> Iterator[type[BatuaError]]:
    yield from _EVERYWHERE
    if operation.get("parameters") or "requestBody" in operation:
        yield from _WITH_INPUT
    if "requestBody" in operation:
        yield from _WITH_BODY
    if "security" in operation:
        yield from _SIGNED_IN
        if method not in _SAFE:
            yield from _SIGNED_IN_AND_UNSAFE


def _add(responses: dict[str, Any], error_class: type[BatuaError]) -> None:
    status = status_of(error_class)
    added = describe(status, [error_class])
    present = responses.setdefault(str(status), added)
    content = present.setdefault("content", {}).setdefault(MEDIA_TYPE, added["content"][MEDIA_TYPE])
    examples = content.setdefault("examples", {})
    if error_class.code not in examples:
        examples |= added["content"][MEDIA_TYPE]["examples"]
        present["description"] += f", `{error_class.code}`"
