"""The services' database roles, granted in a test's own database, and calls of the ledger's function by them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from sqlalchemy.engine import make_url

from infra.postgres.roles import SERVICE_ROLES, grant_service_roles
from shared import clock
from tests.support.deadlines import deadline

PASSWORD = "for-tests-only-0123456789"
_LISTS = (
    "ids",
    "amounts",
    "debited",
    "credited",
    "kinds",
    "currencies",
    "notes",
    "initiators",
    "originals",
    "captured",
)
_VALUES = ("debited", "credited", "kind", "currency", "note", "initiator", "original")
_REST = ("counted", "days", "sent", "placed", "placed_on", "placed_amounts", "released")
PARAMETERS = (*_LISTS, *(f"the_{name}" for name in _VALUES), *_REST, "posted_at")

Call = tuple[str, tuple[Any, ...]]
"""A statement and its arguments."""


async def grant(database_url: str, *, with_version_before: bool = False) -> None:
    """Make the roles, and grant as `batua migrate --service-roles` does."""
    passwords = dict.fromkeys(SERVICE_ROLES, PASSWORD)
    await asyncio.to_thread(
        grant_service_roles, database_url, passwords=passwords, with_version_before=with_version_before
    )


@asynccontextmanager
async def connected(database_url: str, role: str) -> AsyncIterator[asyncpg.Connection]:
    """The driver's own connection of the role."""
    url = make_url(database_url).set(username=role, password=PASSWORD)
    connection = await asyncpg.connect(url.render_as_string(hide_password=False), timeout=deadline())
    try:
        yield connection
    finally:
        await connection.close(timeout=deadline())


def posting(**given: Any) -> Call:
    """A call of `post_to_ledger` with these parameters; the others are empty."""
    unknown = given.keys() - set(PARAMETERS)
    assert not unknown, unknown
    values: dict[str, Any] = {name: None if name.startswith("the_") else [] for name in PARAMETERS}
    values |= {"posted_at": clock.now(), "the_currency": "INR"} | given
    places = ", ".join(f"${number}" for number in range(1, len(PARAMETERS) + 1))
    return f"SELECT public.post_to_ledger({places})", tuple(values[name] for name in PARAMETERS)
