"""`batua archive` as the schema's owner meets it: words, JSON and exit codes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url
from typer.testing import CliRunner, Result

from infra.cli.main import app
from shared import clock
from shared.db.engine import SessionMaker
from shared.proof.archive import KEPT_FOR
from tests.support.archive_world import ArchiveWorld, old_world
from tests.support.service_roles import PASSWORD, grant

# Roles are of the whole server: two tests must not make them at the same time.
pytestmark = pytest.mark.xdist_group("database roles")

Run = Callable[..., Result]


@pytest.fixture
def run(fresh_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("BATUA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BATUA_DATABASE_URL", fresh_database_url)
    return lambda *arguments: CliRunner().invoke(app, ["archive", *map(str, arguments)])


@pytest.fixture
async def world(fresh_sessionmaker: SessionMaker, tmp_path: Path) -> ArchiveWorld:
    return await old_world(fresh_sessionmaker, tmp_path / "archive")


def latest() -> str:
    return f"{clock.now() - KEPT_FOR - timedelta(days=1):%Y-%m-%d}"


async def test_it_archives_and_says_how_much(run: Run, world: ArchiveWorld) -> None:
    result = await asyncio.to_thread(run, "--before", latest(), "--to", world.directory)
    assert result.exit_code == 0, result.output
    assert "2 seals archived with 15 entries." in result.stdout
    again = await asyncio.to_thread(run, "--before", latest(), "--to", world.directory, "--json")
    assert again.exit_code == 0
    answer = json.loads(again.stdout)
    assert (answer["seals"], answer["entries"], answer["files"], answer["refused"]) == (0, 0, [], None)
    checked = await asyncio.to_thread(run, "check", world.directory)
    assert (checked.exit_code, checked.stdout) == (0, "The archive holds: 2 files with 20 entries are right.\n")
    await world.require_right()


async def test_a_file_that_is_missing_is_named(run: Run, world: ArchiveWorld) -> None:
    await world.archive()
    (world.directory / "seal-00000002.jsonl.gz").unlink()
    result = await asyncio.to_thread(run, "check", world.directory, "--json")
    assert result.exit_code == 1
    answer = json.loads(result.stdout)
    assert not answer["ok"]
    assert answer["problems"] == [{"seal_id": 2, "file": "seal-00000002.jsonl.gz", "problem": "the file is missing"}]
    said = (await asyncio.to_thread(run, "check", world.directory)).stdout
    assert "the file is missing" in said
    assert "The archive does NOT hold" in said


async def test_what_is_refused_exits_1_and_says_why(run: Run, world: ArchiveWorld) -> None:
    recent = f"{clock.now() - timedelta(days=300):%Y-%m-%d}"
    result = await asyncio.to_thread(run, "--before", recent, "--to", world.directory)
    assert result.exit_code == 1
    assert "Entries stay for a year at least: name " in result.stderr
    await world.tamper("DELETE FROM proof_runs")
    result = await asyncio.to_thread(run, "--before", latest(), "--to", world.directory, "--json")
    assert result.exit_code == 1
    assert "run `batua prove` first" in json.loads(result.stdout)["refused"]
    assert list(world.directory.iterdir()) == []


async def test_a_service_may_not(
    run: Run, world: ArchiveWorld, fresh_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await grant(fresh_database_url)
    url = make_url(fresh_database_url).set(username="withdraw_worker", password=PASSWORD)
    monkeypatch.setenv("BATUA_DATABASE_URL", url.render_as_string(hide_password=False))
    result = await asyncio.to_thread(run, "--before", latest(), "--to", world.directory)
    assert result.exit_code == 1
    assert "Only the owner of the schema archives" in result.stderr


async def test_a_folder_that_cannot_be_written_is_named(run: Run, world: ArchiveWorld, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = await asyncio.to_thread(run, "--before", latest(), "--to", tmp_path / "file" / "archive")
    assert result.exit_code == 1
    assert "Not a directory" in result.stderr


def test_it_asks_what_to_archive(run: Run) -> None:
    assert run().exit_code == 2
    assert "--before" in run("--help").stdout
