"""Find out whether Batua may run on a database engine: `python -m infra.engines ADDRESS`.

ADDRESS is the URL of a superuser on any server that speaks Postgres's protocol. The script makes databases of its own
there and drops them: it migrates one up, down and up again; runs the concurrency tests, the faults at every statement
and a storm among them; and proves the books that the storm leaves. An engine that fails one of these is none for money.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, get_args
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import typer
from pydantic import SecretStr

from infra.local.layout import CHECKOUT
from shared.config import DatabaseEngine, DatabaseSettings
from shared.db.engine import create_engine, create_sessionmaker
from shared.ids import new_token
from shared.migrations import runner
from shared.proof.prove import ProofReport, prove

TESTS = "tests/concurrency"
TESTS_SECONDS = 1800
"""The tests of concurrency, on a slow engine too."""


def check(
    address: Annotated[str, typer.Argument(help="postgresql://superuser:password@host:port/postgres")],
    engine: Annotated[
        str, typer.Option(help="What BATUA_DATABASE_ENGINE is there: postgres or distributed")
    ] = "postgres",
    tests: Annotated[str, typer.Option(help="The tests to run, as pytest selects them with -k; all by default")] = "",
) -> None:
    """Migrate, race, storm and prove on the engine at ADDRESS. Exit 0: it holds; 1: it does not."""
    if engine not in get_args(DatabaseEngine):
        raise typer.BadParameter(f"one of {', '.join(get_args(DatabaseEngine))}")
    kind: DatabaseEngine = "distributed" if engine == "distributed" else "postgres"
    typer.echo(asyncio.run(_version(address)))
    with _database(address) as url:
        _step("migrations: up, down and up again", lambda: _migrate(url, kind))
        _step("concurrency tests and the storm", lambda: _run_tests(address, url, kind, tests))
        report: list[ProofReport] = []
        _step("the proof of what the storm left", lambda: report.append(asyncio.run(_prove(url))))
        typer.echo(f"  {len(report[0].checks)} rules, {report[0].rows['transfers']} transfers")
    typer.echo("This engine holds.")


def _step(name: str, work: Callable[[], object]) -> None:
    typer.echo(f"{name} ...")
    try:
        work()
    except Exception as error:
        typer.echo(f"This engine does not hold: {name}: {error}", err=True)
        raise typer.Exit(1) from None


def _migrate(url: str, engine: DatabaseEngine) -> None:
    runner.upgrade(url, engine=engine)
    runner.downgrade(url, engine=engine)
    runner.upgrade(url, engine=engine)


def _run_tests(address: str, url: str, engine: DatabaseEngine, selected: str) -> None:
    """The tests on databases of their own, and the storm on this one. Their output goes to the terminal."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("BATUA_")}
    chosen = {
        "BATUA_TESTS_POSTGRES": address,
        "BATUA_TESTS_ENGINE": engine,
        "BATUA_TESTS_STORM_DATABASE": url,
    }
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", TESTS]
    if selected:
        command += ["-k", selected]
    run = subprocess.run(command, cwd=CHECKOUT, env=inherited | chosen, timeout=TESTS_SECONDS, check=False)  # noqa: S603 - of the checkout
    if run.returncode:
        raise RuntimeError(f"pytest ended with {run.returncode}")


async def _prove(url: str) -> ProofReport:
    database = create_engine(DatabaseSettings(database_url=SecretStr(url)), application_name="engines")
    try:
        report = await prove(create_sessionmaker(database))
    finally:
        await database.dispose()
    if not report.rows["transfers"]:
        raise RuntimeError("the storm left no transfer")
    if not report.ok:
        raise RuntimeError("; ".join(failed.name for failed in report.failed))
    return report


async def _version(address: str) -> str:
    connection = await asyncpg.connect(address)
    try:
        return str(await connection.fetchval("SELECT version()"))
    finally:
        await connection.close()


@contextmanager
def _database(address: str) -> Iterator[str]:
    """A new database of that server, dropped at the end; its URL."""
    name = f"batua_engine_{new_token(6).lower().replace('-', '_')}"
    asyncio.run(_execute(address, f'CREATE DATABASE "{name}"'))
    try:
        yield urlunsplit(urlsplit(address)._replace(path=f"/{name}"))
    finally:
        asyncio.run(_execute(address, f'DROP DATABASE IF EXISTS "{name}"'))


async def _execute(address: str, statement: str) -> None:
    connection = await asyncpg.connect(address)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def main() -> None:
    """Run the command."""
    typer.run(check)


if __name__ == "__main__":
    main()
