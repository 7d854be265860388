"""Make the database's roles and give them their rights; `roles.sql` says which."""

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
_Result = TypeVar("_Result")


def _await(coroutine: Coroutine[Any, Any, _Result]) -> _Result:
    """Run a coroutine to its end, also in a thread that runs an event loop."""
    with ThreadPoolExecutor(max_workers=1) as executor:
        return executor.submit(asyncio.run, coroutine).result()


async def _run(connection: Any, statement: str, *values: str) -> None:
    """Execute a statement whose `%I` and `%L` the server fills in; roles and passwords cannot be parameters."""
    places = ", ".join(f"${number}::text" for number in range(1, len(values) + 1))
    quoted = await connection.fetchval(f"SELECT format('{statement}', {places})", *values)
    await connection.execute(quoted)


async def _set_password(connection: Any, role: str, password: str) -> None:
    exists = await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", role)
    await _run(connection, ("ALTER" if exists else "CREATE") + " ROLE %I LOGIN PASSWORD %L", role, password)


async def _create_owner(superuser_url: str, owner: str, password: str) -> None:
    connection = await asyncpg.connect(superuser_url, timeout=TIMEOUT_SECONDS)
    try:
        await _set_password(connection, owner, password)
        # Tests clone a migrated template, so the owner may create further databases.
        await _run(connection, "ALTER ROLE %I CREATEDB", owner)
        if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", owner):
            await _run(connection, "CREATE DATABASE %I OWNER %I", owner, owner)
    finally:
        await connection.close(timeout=TIMEOUT_SECONDS)


async def _grant(superuser_url: str, passwords: Mapping[str, str]) -> None:
    connection = await asyncpg.connect(superuser_url, timeout=TIMEOUT_SECONDS)
    try:
        async with connection.transaction():
            for role, password in passwords.items():
                await _set_password(connection, role, password)
            await connection.execute(_ROLES_SQL.read_text(encoding="utf-8"), timeout=TIMEOUT_SECONDS)
    finally:
        await connection.close(timeout=TIMEOUT_SECONDS)


def create_owner(superuser_url: str, *, owner: str, password: str) -> None:
    """Make the role that owns the schema and its database of the same name, unless they exist."""
    _await(_create_owner(superuser_url, owner, password))


def grant_service_roles(superuser_url: str, *, passwords: Mapping[str, str]) -> None:
    """Make the services' roles, set the given passwords, and grant what `roles.sql` grants.

    The URL names the migrated database. All changes are one transaction, and a repeat changes nothing.
    """
    _await(_grant(superuser_url, passwords))
