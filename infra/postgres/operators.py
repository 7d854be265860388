"""Roles of operators: one for each person, so that Postgres itself says who acts. `roles.sql` says what they may do."""

from __future__ import annotations

import asyncpg

from infra.postgres.roles import TIMEOUT_SECONDS, await_here, run_quoted

CONNECTIONS = 5
"""So many at most for one operator at once."""

_IS_MEMBER = """
    SELECT true FROM pg_auth_members AS membership
    JOIN pg_roles AS member ON member.oid = membership.member AND member.rolname = $1
    JOIN pg_roles AS operators ON operators.oid = membership.roleid AND operators.rolname = 'batua_operator'
"""


class RoleTaken(Exception):
    """There is a role of this name."""


def add_operator(superuser_url: str, *, name: str, password: str) -> None:
    """Make a role for one more person, and let it do what operators do. Raises RoleTaken.

    The groups' rights come from `grant_service_roles`.
    """
    await_here(_add(superuser_url, name, password))


def remove_operator(superuser_url: str, *, name: str) -> bool:
    """Take the rights and the sign-in of a role away, and end its connections; whether it was an operator's.

    The role stays, so that no one else is given its name: it stands in what was recorded.
    """
    return await_here(_remove(superuser_url, name))


async def _add(superuser_url: str, name: str, password: str) -> None:
    connection = await asyncpg.connect(superuser_url, timeout=TIMEOUT_SECONDS)
    try:
        async with connection.transaction():
            if await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", name):
                raise RoleTaken
            await run_quoted(connection, "CREATE ROLE %I LOGIN PASSWORD %L", name, password)
            await run_quoted(connection, f"ALTER ROLE %I CONNECTION LIMIT {CONNECTIONS}", name)
            await run_quoted(connection, "GRANT batua_operator TO %I", name)
    finally:
        await connection.close(timeout=TIMEOUT_SECONDS)


async def _remove(superuser_url: str, name: str) -> bool:
    connection = await asyncpg.connect(superuser_url, timeout=TIMEOUT_SECONDS)
    try:
        if not await connection.fetchval(_IS_MEMBER, name):
            return False
        async with connection.transaction():
            await run_quoted(connection, "REVOKE batua_operator FROM %I", name)
            await run_quoted(connection, "ALTER ROLE %I NOLOGIN", name)
        await connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1", name)
        return True
    finally:
        await connection.close(timeout=TIMEOUT_SECONDS)
