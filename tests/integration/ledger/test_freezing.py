"""The database itself lets nothing leave a frozen account, whatever the rules of the code say."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from shared.db.engine import SessionMaker
from shared.ids import new_id
from shared.ledger import freezing
from shared.models import Account
from tests.support.factories import create_user
from tests.support.service_roles import connected, grant, posting

# Roles are of the whole server: two tests must not make them at the same time.
pytestmark = pytest.mark.xdist_group("database roles")


@pytest.fixture
async def frozen(fresh_database_url: str, fresh_sessionmaker: SessionMaker) -> Account:
    await grant(fresh_database_url)
    async with fresh_sessionmaker.begin() as session:
        account = await create_user(session, balance=10_000)
        assert account.owner_id is not None
        await freezing.freeze(session, account.owner_id)
    return account


@pytest.fixture
async def other(fresh_sessionmaker: SessionMaker) -> Account:
    async with fresh_sessionmaker.begin() as session:
        return await create_user(session, balance=10_000)


@asynccontextmanager
async def superuser(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


def moved(kind: str, debited: Account, credited: Any, **more: Any) -> Any:
    return posting(
        ids=[new_id()],
        amounts=[10],
        the_kind=kind,
        the_debited=debited.id,
        the_credited=credited,
        the_initiator=debited.owner_id,
        **more,
    )


@pytest.mark.parametrize("role", ["user_app", "postgres"])
async def test_a_frozen_account_is_not_debited_and_takes_no_hold(
    fresh_database_url: str, frozen: Account, other: Account, role: str
) -> None:
    hold = posting(placed=[new_id()], placed_on=[frozen.id], placed_amounts=[10])
    as_role = superuser(fresh_database_url) if role == "postgres" else connected(fresh_database_url, role)
    async with as_role as connection:
        for statement, arguments in (moved("p2p", frozen, other.id), hold):
            with pytest.raises(asyncpg.CheckViolationError):
                await connection.fetch(statement, *arguments)
        statement, arguments = moved("p2p", other, frozen.id)
        assert await connection.fetchval(statement, *arguments) == 1


async def test_no_service_can_lift_a_freeze(fresh_database_url: str, frozen: Account) -> None:
    for role in ("user_app", "merchant_app", "bank_webhook", "withdraw_worker"):
        async with connected(fresh_database_url, role) as connection:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute("UPDATE accounts SET frozen_at = NULL WHERE id = $1", frozen.id)
