"""A database that archives its WAL, and the commands of an operator who restores it."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg
from typer.testing import CliRunner, Result

from infra.cli.main import app
from infra.local import postgres
from infra.local.environment import local_secrets
from infra.local.layout import Layout
from infra.local.privileges import own_directory
from infra.local.stack import Stack
from tests.support.waiting import eventually


def create_archiving_database(layout: Layout, archive: Path) -> None:
    """What docs/backups.md says about a server, said before its first start."""
    postgres.create_database(layout, local_secrets(layout))
    (archive / "wal").mkdir(parents=True)
    own_directory(postgres.way_to_run(layout), archive / "wal")
    settings = {"archive_mode": "on", "archive_library": "basic_archive", "archive_timeout": "60"}
    settings |= {"basic_archive.archive_directory": str(archive / "wal")}
    with (layout.postgres_data / "postgresql.auto.conf").open("a", encoding="utf-8") as file:
        file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())


def run(stack: Stack, *arguments: str) -> Result:
    """A command of an operator. In a thread, because a loop may run in this one."""
    environment = {**stack.environment(), "COLUMNS": "200"}
    with ThreadPoolExecutor(1) as apart:
        return apart.submit(CliRunner().invoke, app, list(arguments), env=environment).result()


def ok(stack: Stack, *arguments: str) -> str:
    """What the command prints. It must succeed."""
    result = run(stack, *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


async def ask(stack: Stack, question: str) -> Any:
    connection = await asyncpg.connect(stack.database_url(postgres.SUPERUSER))
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


def until_archived(stack: Stack) -> None:
    """Have the segment with everything until now archived."""
    written = asyncio.run(ask(stack, "SELECT pg_walfile_name(pg_switch_wal())"))
    archived = "SELECT last_archived_wal >= '{}' FROM pg_stat_archiver"
    eventually(lambda: asyncio.run(ask(stack, archived.format(written))), "WAL is archived", seconds=60)
