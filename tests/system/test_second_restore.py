"""A database that was restored is lost again before its next base backup: nothing that it archived since is lost."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from infra.local.stack import Stack
from tests.support.archiving import ask, create_archiving_database, ok, until_archived

pytestmark = pytest.mark.slow


def test_a_second_restore_reaches_what_was_written_after_the_first(
    tmp_path: Path, free_port_base: Callable[[], int]
) -> None:
    port_base, archive = free_port_base(), tmp_path / "archive"
    first, second, third = (Stack(tmp_path / name, port_base) for name in ("first", "second", "third"))
    create_archiving_database(first.layout, archive)
    with running(first):
        ok(first, "backup", "take", str(archive))
        write(first, "CREATE TABLE written AS SELECT 'before the first restore' AS at")
    for lost, restored in ((first, second), (second, third)):
        restored.layout.make_directories()
        shutil.copy(lost.layout.secrets_file, restored.layout.secrets_file)
        ok(lost, "backup", "restore", str(archive), "--into", str(restored.layout.postgres_data))
        with running(restored):
            if restored is second:
                write(restored, "INSERT INTO written VALUES ('after the first restore')")
            assert asyncio.run(ask(restored, "SELECT array_agg(at ORDER BY at DESC) FROM written")) == [
                "before the first restore",
                "after the first restore",
            ]


@contextmanager
def running(stack: Stack) -> Iterator[None]:
    """Its Postgres runs, and is lost at the end."""
    stack.start(["postgres"])
    try:
        yield
    finally:
        stack.kill("postgres")
        stack.stop()


def write(stack: Stack, statement: str) -> None:
    """Have it committed and archived."""
    asyncio.run(ask(stack, statement))
    until_archived(stack)
