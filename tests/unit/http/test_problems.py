from __future__ import annotations

import inspect
import json
from datetime import UTC, datetime, timedelta

import pytest

from shared import clock, errors
from shared.auth.errors import BadCredentials, PinIncorrect, PinLocked
from shared.errors import BatuaError
from shared.http.problems import MEDIA_TYPE, STATUS, problem, problem_responses, status_of
from shared.idempotency.errors import IdempotencyKeyReused
from shared.ledger.errors import InsufficientFunds

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)


def test_every_category_has_a_status() -> None:
    categories = {
        each
        for _, each in inspect.getmembers(errors, inspect.isclass)
        if issubclass(each, BatuaError) and each is not BatuaError
    }
    assert categories == set(STATUS)


@pytest.mark.parametrize(
    ("error", "status"),
    [(InsufficientFunds(available=5, amount=9), 402), (BadCredentials(), 401), (PinIncorrect(attempts_left=2), 403)],
)
def test_a_problem_has_the_five_members_and_the_facts(error: BatuaError, status: int) -> None:
    response = problem(error)
    body = json.loads(bytes(response.body))
    assert response.status_code == body["status"] == status == status_of(error)
    assert response.headers["content-type"] == MEDIA_TYPE
    assert body["type"] == f"urn:batua:problem:{error.code}"
    assert body["code"] == error.code
    assert body["title"] == error.title
    assert body["detail"] == error.detail
    assert error.facts().items() <= body.items()


def test_a_401_says_how_to_authenticate() -> None:
    assert problem(BadCredentials()).headers["www-authenticate"] == "Bearer"


def test_a_lock_says_when_it_opens() -> None:
    with clock.reading(lambda: NOW):
        response = problem(PinLocked(locked_until=NOW + timedelta(seconds=90)))
    assert response.headers["retry-after"] == "90"
    assert json.loads(bytes(response.body))["locked_until"] == "2026-11-20T09:31:30Z"


def test_a_reused_key_names_the_fields_that_differ() -> None:
    body = json.loads(bytes(problem(IdempotencyKeyReused(["amount"])).body))
    assert [each["field"] for each in body["errors"]] == ["amount"]


def test_a_route_declares_its_errors_by_status() -> None:
    declared = problem_responses(InsufficientFunds, PinIncorrect, BadCredentials)
    assert list(declared) == [401, 402, 403]
    assert "insufficient_funds" in declared[402]["content"][MEDIA_TYPE]["examples"]
