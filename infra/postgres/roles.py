"""Make the database's roles and give them their rights; `roles.sql` and `credentials.sql` say which.

While a version replaces the one before, `roles_of_version_before.sql` adds what only the one before needs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import asyncpg

SERVICE_ROLES = ("user_app", "merchant_app", "bank_webhook", "withdraw_worker")
TIMEOUT_SECONDS = 30.0
_ROLES_SQL = Path(__file__).with_name("roles.sql")
_BEFORE_SQL = Path(__file__).with_name("roles_of_version_before.sql")
_CREDENTIALS_SQL = Path(__file__).with_name("credentials.sql")
_Result = TypeVar("_Result")


def await_here(coroutine: Coroutine[Any, Any, _Result]) -> _Result:
    """Run a coroutine to its end, also in a thread that runs an event loop."""
    with ThreadPoolExecutor(max_workers=1) as executor:
        return executor.submit(asyncio.run, coroutine).result()


async def run_quoted(connection: Any, statement: str, *values: str) -> None:
    """Execute a statement whose `%I` and `%L` the server fills in; roles and passwords cannot be parameters."""
    places = ", ".join(f"${number}::text" for number in range(1, len(values) + 1))
    quoted = await connection.fetchval(f"SELECT format('{statement}', {places})", *values)
    await connection.execute(quoted)


async def _connect(superuser_url: str) -> Any:
    """Without prepared statements, so that a pooler may be in between."""
    return await asyncpg.connect(superuser_url, timeout=TIMEOUT_SECONDS, statement_cache_size=0)


async def _set_password(connection: Any, role: str, password: str) -> None:
    exists = await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", role)
    await run_quoted(connection, ("ALTER" if exists else "CREATE") + " ROLE %I LOGIN PASSWORD %L", role, password)


async def _create_owner(superuser_url: str, owner: str, password: str) -> None:
    connection = await _connect(superuser_url)
    try:
        await _set_password(connection, owner, password)
        # Tests clone a migrated template, so the owner may create further databases.
        await run_quoted(connection, "ALTER ROLE %I CREATEDB", owner)
        if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", owner):
            await run_quoted(connection, "CREATE DATABASE %I OWNER %I", owner, owner)
    finally:
        await connection.close(timeout=TIMEOUT_SECONDS)


async def _grant(
    superuser_url: str, passwords: Mapping[str, str], limits: Mapping[str, str], *, with_version_before: bool
) -> None:
    connection = await _connect(superuser_url)
    try:
        async with connection.transaction():
            for role, password in passwords.items():
                await _set_password(connection, role, password)
            before = [_BEFORE_SQL] if with_version_before else []
            for file in (_ROLES_SQL, *before, _CREDENTIALS_SQL):
                await connection.execute(file.read_text(encoding="utf-8"), timeout=TIMEOUT_SECONDS)
            database = await connection.fetchval("SELECT current_database()")
            for role in SERVICE_ROLES:
                for name, value in limits.items():
                    await run_quoted(
                        connection, "ALTER ROLE %I IN DATABASE %I SET %I = %L", role, database, name, value
                    )
    finally:
        await connection.close(timeout=TIMEOUT_SECONDS)


def create_owner(superuser_url: str, *, owner: str, password: str) -> None:
    """Make the role that owns the schema and its database of the same name, unless they exist."""
    await_here(_create_owner(superuser_url, owner, password))


def grant_service_roles(
    superuser_url: str,
    *,
    passwords: Mapping[str, str],
    limits: Mapping[str, str] | None = None,
    with_version_before: bool = False,
) -> None:
    """Make the services' roles, set the given passwords, and grant what these files grant.

    `limits` are settings of Postgres that the roles' sessions in this database begin with. `with_version_before` adds
    the rights of the version before. The URL names the migrated database. All changes are one transaction, and a
    repeat changes nothing.
    """
    await_here(_grant(superuser_url, passwords, limits or {}, with_version_before=with_version_before))
