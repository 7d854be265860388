"""`/readyz` refuses a schema that lacks a migration this version needs. A newer one is fine."""

from __future__ import annotations

from redis.asyncio import Redis
from sqlalchemy import text

from shared.db.engine import SessionMaker
from shared.migrations.history import newest_revision
from tests.support.apps import running, user_app_settings


async def test_a_schema_is_as_new_as_the_code_or_newer(
    fresh_database_url: str, fresh_sessionmaker: SessionMaker, redis_url: str, redis: Redis
) -> None:
    newest = int(newest_revision())
    async with running(user_app_settings(fresh_database_url, redis_url)) as app:
        for revision, status, found in ((newest, 200, "ok"), (newest - 1, 503, "failed"), (newest + 1, 200, "ok")):
            async with fresh_sessionmaker.begin() as session:
                await session.execute(text(f"UPDATE alembic_version SET version_num = '{revision:04}'"))
            ready = await app.client.get("/readyz")
            assert (ready.status_code, ready.json()["checks"]["schema"]) == (status, found), revision
