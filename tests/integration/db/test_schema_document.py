"""docs/schema.sql is the schema that the migrations make."""

from __future__ import annotations

import asyncio

from infra.documentation.schema import FILE, schema_sql


async def test_the_committed_schema_is_what_the_migrations_make(fresh_database_url: str) -> None:
    made = await asyncio.to_thread(schema_sql, fresh_database_url)
    assert FILE.read_text(encoding="utf-8") == made, "run `make docs`"
