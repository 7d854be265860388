"""Each app reaches the credentials of those who sign in to it; the other services reach none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from redis.asyncio import Redis
from sqlalchemy.engine import make_url

from infra.postgres.roles import SERVICE_ROLES, grant_service_roles
from shared.ids import new_id
from tests.support.apps import PASSWORD, PIN, RunningApp, Signed, merchant_app_settings, running, user_app_settings

# Roles are of the whole server: two tests must not make them at the same time.
pytestmark = pytest.mark.xdist_group("database roles")

ROLE_PASSWORD = "for-tests-only-0123456789"
SECRETS_READ = "SELECT password_hash, pin_hash FROM owners WHERE id = $1"
CHANGES = (
    "UPDATE owners SET password_hash = 'stolen' WHERE id = $1",
    "UPDATE owners SET pin_hash = 'stolen' WHERE id = $1",
    "UPDATE owners SET tokens_valid_after = now() WHERE id = $1",
    "UPDATE owners SET kept_token_id = id WHERE id = $1",
)
WRONG_PIN = "INSERT INTO pin_failures (id, owner_id, failed_at) VALUES ($1, $2, now())"


@pytest.fixture
async def granted(fresh_database_url: str) -> str:
    passwords = dict.fromkeys(SERVICE_ROLES, ROLE_PASSWORD)
    for _ in range(2):  # a repeat changes nothing
        await asyncio.to_thread(grant_service_roles, fresh_database_url, passwords=passwords)
    return fresh_database_url


def url_of(role: str, url: str) -> str:
    return make_url(url).set(username=role, password=ROLE_PASSWORD).render_as_string(hide_password=False)


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def both_apps(url: str, redis_url: str) -> AsyncIterator[tuple[RunningApp, RunningApp]]:
    """As in production: each under the role of its own."""
    async with (
        running(user_app_settings(url_of("user_app", url), redis_url)) as user_app,
        running(merchant_app_settings(url_of("merchant_app", url), redis_url)) as merchant_app,
    ):
        yield user_app, merchant_app


async def test_each_app_does_all_its_sign_in_work_under_its_role(granted: str, redis_url: str, redis: Redis) -> None:
    async with both_apps(granted, redis_url) as (user_app, merchant_app):
        asha, shop = await user_app.person("Asha"), await merchant_app.shop("Chai Point")
        for owner in (asha, shop):
            email = owner.profile["email"]
            wrong = await owner.post("/auth/pin", pin="7391")
            assert wrong.status_code in {401, 403}, wrong.text
            assert (await owner.post("/auth/pin", pin=PIN)).status_code == 200
            assert (await owner.post("/auth/login", email=email, password=PASSWORD)).status_code == 200
            assert (await owner.get("/wallet")).status_code == 200
            assert (await owner.post("/auth/logout")).status_code == 204
            assert (await owner.get("/wallet")).status_code == 401


@pytest.mark.parametrize("role", ["user_app", "merchant_app"])
async def test_an_app_reaches_no_credentials_of_the_other_kind(
    granted: str, redis_url: str, redis: Redis, role: str
) -> None:
    own, other = ("user", "merchant") if role == "user_app" else ("merchant", "user")
    async with both_apps(granted, redis_url) as (user_app, merchant_app):
        signed: dict[str, Signed] = {"user": await user_app.person(), "merchant": await merchant_app.shop()}
    mine, theirs = signed[own].id, signed[other].id
    async with connected(url_of(role, granted)) as connection:
        assert len(await connection.fetch(SECRETS_READ, mine)) == 1
        assert await connection.fetch(SECRETS_READ, theirs) == []
        for change in CHANGES:
            assert await connection.execute(change, theirs) == "UPDATE 0"
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await connection.execute(
                "INSERT INTO owners (id, kind, email, password_hash, pin_hash, created_at) "
                "VALUES ($1, $2, 'new@example.com', 'x', 'x', now())",
                *(new_id(), other),
            )
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
            await connection.execute("UPDATE owners SET kind = $2 WHERE id = $1", mine, other)
        await connection.execute(WRONG_PIN, new_id(), mine)
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
            await connection.execute(WRONG_PIN, new_id(), theirs)
        async with connected(granted) as administrator:
            await administrator.execute(WRONG_PIN, new_id(), theirs)
        assert await connection.execute("DELETE FROM pin_failures WHERE owner_id = $1", theirs) == "DELETE 0"
        assert await connection.execute("DELETE FROM pin_failures WHERE owner_id = $1", mine) == "DELETE 1"
        # An email is taken within a kind, and the constraint sees rows that the role does not.
        with pytest.raises(asyncpg.UniqueViolationError):
            await connection.execute(
                "INSERT INTO owners (id, kind, email, password_hash, pin_hash, created_at) "
                "VALUES ($1, $2, $3, 'x', 'x', now())",
                *(new_id(), own, signed[own].profile["email"]),
            )


@pytest.mark.parametrize("role", ["bank_webhook", "withdraw_worker"])
async def test_services_without_sign_in_reach_no_credentials(
    granted: str, redis_url: str, redis: Redis, role: str
) -> None:
    async with both_apps(granted, redis_url) as (user_app, merchant_app):
        owners = [await user_app.person(), await merchant_app.shop()]
    async with connected(url_of(role, granted)) as connection:
        assert (
            await connection.fetchval("SELECT count(*) FROM owners WHERE id = ANY($1)", [each.id for each in owners])
            == 2
        )
        for statement in (SECRETS_READ, *CHANGES):
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
                await connection.execute(statement, owners[0].id)


async def test_a_policy_offers_no_index_that_holds_all_of_a_kind(granted: str) -> None:
    """Credentials are read with every request: a plan that is kept from when the table was small must use the key."""
    statement = (
        "SELECT owner.pin_hash FROM unnest($1::uuid[]) AS asked (id) LEFT JOIN owners owner ON owner.id = asked.id"
    )
    for role in ("user_app", "merchant_app"):
        async with connected(url_of(role, granted)) as connection:
            await connection.execute("SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off")
            plan = "\n".join([row[0] for row in await connection.fetch(f"EXPLAIN {statement}", [new_id()])])
            assert "pk_owners" in plan
            assert "uq_owners_kind_email" not in plan
