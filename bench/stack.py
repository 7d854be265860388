"""The stack that is measured: all of Batua, with a population, in a home and on ports of its own.

A copy of the populated database, `reference`, is what pgbench and the thin app work on: the same tables, rows, indexes,
constraints and server.
"""

from __future__ import annotations

import asyncio
import os
import random
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from pydantic import SecretStr

from bench.listening import processes_of, wait_until_all_listen
from bench.population import PAST_PAYMENTS, PEOPLE, Person, hash_of_pin, populate, sign_in
from infra.local import postgres
from infra.local.environment import local_secrets
from infra.local.errors import AnotherIsStarting
from infra.local.ports import PortInUse, is_free
from infra.local.secrets import read_secrets
from infra.local.stack import ALL, Stack
from shared.config import DatabaseSettings
from shared.db.engine import create_engine, create_sessionmaker
from shared.proof.prove import ProofReport, prove

REFERENCE = "reference"
"""The database of the references."""
READY_SECONDS = 300
"""A busy machine may take minutes to start what a quiet one starts in seconds."""
BASES = range(30000, 31000, 100)
"""Tests keep those from 20000 to 30000 for stacks that they are about to start."""
HELLO_PORT_OFFSET, THIN_PORT_OFFSET = 90, 91
_NO_QUOTAS = {
    f"BATUA_QUOTAS__{name}": "1000000000"
    for name in ("KEYS_PER_DAY", "BULK_PER_MINUTE", "BULK_PER_DAY", "SMALL_TRANSFERS_PER_DAY")
}
"""A few owners do here in a minute what thousands do in a day."""
_NO_PORTS = "found no free ports for a stack of our own: set BATUA_PORT_BASE"
_STATISTICS = "\nshared_preload_libraries = 'pg_stat_statements'\npg_stat_statements.track = 'none'\n"


@dataclass(frozen=True)
class Bench:
    """A running stack and what is known about it."""

    stack: Stack
    people: list[Person]
    secrets: Mapping[str, str]
    folder: Path
    """For files of this run."""

    def superuser_url(self, database: str = "batua") -> str:
        """Connects to a database of the stack as its superuser."""
        return self.stack.database_url(postgres.SUPERUSER, database)

    def port(self, offset: int) -> int:
        """A port of the bench's own servers."""
        return self.stack.layout.port_base + offset


@contextmanager
def running_bench(
    say: Callable[[str], None],
    *,
    people: int = PEOPLE,
    payments: int = PAST_PAYMENTS,
    settings: Mapping[str, str] | None = None,
    processes: Collection[str] = ALL,
) -> Iterator[Bench]:
    """Batua with so many people, or only some of its processes; all of it is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="batua-bench-") as folder:
        patient = {"BATUA_READY_SECONDS": f"{READY_SECONDS}", **_NO_QUOTAS}
        stack = _stack_on_free_ports(Path(folder) / "home", patient | dict(settings or {}))
        try:
            say("Starting a Postgres and filling it")
            secrets, signed = _fill(stack, people, payments)
            say("Starting Batua")
            stack.start(processes)
            for name in {"user_app", "bank_webhook"} & set(processes):
                wait_until_all_listen(stack.pid(name), processes_of(stack))
            _require_durable(stack)
            yield Bench(stack, signed, secrets, Path(folder))
        finally:
            stack.stop()


def started_stack(
    home: Path, processes: Collection[str] = ("postgres", "redis"), settings: Mapping[str, str] | None = None
) -> Stack:
    """These processes, without a population, on free ports."""
    for base in _bases():
        stack = Stack(home, base, settings)
        try:
            stack.start(processes)
        except (PortInUse, AnotherIsStarting):
            continue
        return stack
    raise SystemExit(_NO_PORTS)


async def proven(stack: Stack) -> ProofReport:
    """Prove the books, without the banks' statements: the bench's notices come from no bank."""
    url = SecretStr(stack.database_url())
    engine = create_engine(DatabaseSettings(database_url=url), application_name="bench")
    try:
        return await prove(create_sessionmaker(engine))
    finally:
        await engine.dispose()


def _bases() -> list[int]:
    given = os.environ.get("BATUA_PORT_BASE")
    return [int(given)] if given else random.sample(BASES, 10)


def _stack_on_free_ports(home: Path, settings: Mapping[str, str]) -> Stack:
    """A stack whose Postgres runs already; its port says that the base is ours."""
    for base in _bases():
        stack = Stack(home, base, settings)
        if not all(is_free(base + offset) for offset in range(THIN_PORT_OFFSET + 1)):
            continue
        # The library of statistics must be there when the server starts; it counts only while it is asked to.
        postgres.create_database(stack.layout, local_secrets(stack.layout))
        configuration = stack.layout.postgres_data / "postgresql.conf"
        if _STATISTICS not in configuration.read_text(encoding="utf-8"):
            with configuration.open("a", encoding="utf-8") as stream:
                stream.write(_STATISTICS)
        try:
            stack.start({"postgres"})
        except (PortInUse, AnotherIsStarting):
            continue
        return stack
    raise SystemExit(_NO_PORTS)


def _fill(stack: Stack, people: int, payments: int) -> tuple[Mapping[str, str], list[Person]]:
    stack.migrate()
    secrets = read_secrets(stack.layout.secrets_file)
    pin_hash = asyncio.run(_populate_and_copy(stack, secrets, people, payments))
    stack.stop()
    return secrets, sign_in(secrets, pin_hash, people=people)


async def _populate_and_copy(stack: Stack, secrets: Mapping[str, str], people: int, payments: int) -> str:
    pin_hash = await hash_of_pin(secrets)
    superuser = stack.database_url(postgres.SUPERUSER)
    await populate(stack.database_url(), superuser, pin_hash=pin_hash, people=people, payments=payments)
    server = await asyncpg.connect(stack.database_url(postgres.SUPERUSER, "postgres"), command_timeout=120)
    try:
        await server.execute(f"CREATE DATABASE {REFERENCE} TEMPLATE batua OWNER batua STRATEGY file_copy")
        await server.execute("CHECKPOINT")
    finally:
        await server.close()
    for database in ("batua", REFERENCE):
        connection = await asyncpg.connect(stack.database_url(postgres.SUPERUSER, database))
        await connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        await connection.close()
    return pin_hash


def _require_durable(stack: Stack) -> None:
    """A commit is on the disk when it returns, for the services and for the references."""

    async def ask() -> None:
        for role, database in (("user_app", "batua"), ("batua", REFERENCE)):
            connection = await asyncpg.connect(stack.database_url(role, database))
            found = [await connection.fetchval(f"SHOW {name}") for name in ("synchronous_commit", "fsync")]
            await connection.close()
            if found != ["on", "on"]:
                raise SystemExit(f"commits of {role} are not durable: {found}")

    asyncio.run(ask())
