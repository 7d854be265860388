"""How often a request for a withdrawal asks Postgres: it is the dearest of those that one owner can repeat."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.support.apps import PIN, Signed, running, user_app_settings
from tests.support.database_faults import Faults, faulty_engines

WITHDRAWAL: dict[str, Any] = {
    "bank": "hdfc",
    "account_number": "123456781234",
    "ifsc": "HDFC0000001",
    "account_holder": "Asha Rao",
    "amount": 1_00,
}


@pytest.fixture
async def counted(database_url: str, redis_url: str, redis: Redis) -> AsyncIterator[tuple[Signed, Faults]]:
    """A person, and what counts the statements of the app, which meet no fault."""
    with faulty_engines("user_app") as statements:
        async with running(user_app_settings(database_url, redis_url)) as app:
            yield await app.person(balance=1_000_00), statements


async def test_one_question_and_a_transaction_of_five(counted: tuple[Signed, Faults]) -> None:
    asha, statements = counted
    headers = {"X-Pin-Token": (await asha.post("/auth/pin", key=None, pin=PIN)).json()["pin_token"]}
    statements.begin()
    answer = await asha.post("/withdrawals", headers=headers, **WITHDRAWAL)
    assert (answer.status_code, len(statements.seen)) == (202, 6), statements.seen
    question, begin, *_, commit = statements.seen
    assert (question.split()[0], begin[:5], commit) == ("SELECT", "BEGIN", "COMMIT;")


async def test_a_pin_takes_three_questions_more(counted: tuple[Signed, Faults]) -> None:
    asha, statements = counted
    statements.begin()
    answer = await asha.post("/withdrawals", **WITHDRAWAL, pin=PIN)
    assert (answer.status_code, len(statements.seen)) == (202, 9), statements.seen
