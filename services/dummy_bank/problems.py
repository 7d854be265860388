"""Every error as problem+json (RFC 9457), also those that the framework raises."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from services.dummy_bank.errors import BankError

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"


class FieldProblem(BaseModel):
    """One field and what is wrong with it."""

    field: str
    message: str


class Problem(BaseModel):
    """The body of every error."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    message: str
    errors: list[FieldProblem] | None = None


def problem_body(status: int, code: str, message: str) -> dict[str, object]:
    """The fields of RFC 9457, and beside them `code` and `message`, as banks name them."""
    return {
        "type": "about:blank",
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "detail": message,
        "code": code,
        "message": message,
    }


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses=`: these statuses answer with a `Problem`."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {
        status: {"model": Problem, "description": HTTPStatus(status).phrase, "content": content} for status in statuses
    }


def install(app: FastAPI) -> None:
    """Make `app` answer all its errors this way."""
    app.add_exception_handler(BankError, _bank_error)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _framework_error)
    app.add_exception_handler(Exception, _unexpected)


def _answer(
    status: int, code: str, message: str, headers: dict[str, str] | None = None, **more: object
) -> JSONResponse:
    body = {**problem_body(status, code, message), **more}
    return JSONResponse(body, status_code=status, headers=headers, media_type=MEDIA_TYPE)


async def _bank_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, BankError)
    return _answer(error.status, error.code, error.message, error.headers)


async def _invalid_request(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(item["type"] == "json_invalid" for item in found):
        return _answer(400, "JSON_INVALID", "The body is not JSON.")
    fields = [
        {"field": ".".join(str(part) for part in item["loc"][1:]) or "body", "message": item["msg"]}
        for item in found[:20]
    ]
    return _answer(422, "INVALID", "The request breaks a rule; see errors.", errors=fields)


async def _framework_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = HTTPStatus(error.status_code).phrase.upper().replace(" ", "_")
    return _answer(error.status_code, code, str(error.detail), dict(error.headers or {}))


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    logger.error("unexpected error", exc_info=error)
    return _answer(500, "INTERNAL_ERROR", "The bank could not answer.")
