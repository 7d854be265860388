"""A whole stack that Prometheus scrapes, and what drills do to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
from typer.testing import CliRunner

from infra.cli.main import app
from infra.demo.actors import PIN, Holder, SimulatedBank
from infra.local.stack import Stack
from tests.support.prometheus import Prometheus
from tests.support.waiting import eventually


async def connect(stack: Stack, application_name: str) -> asyncpg.Connection:
    """A superuser's connection to the stack's database."""
    return await asyncpg.connect(stack.database_url("postgres"), server_settings={"application_name": application_name})


@contextmanager
def holding(stack: Stack, *statements: str, application_name: str) -> Iterator[None]:
    """A superuser's transaction that has run these statements and stays open."""
    loop = asyncio.new_event_loop()
    connection = loop.run_until_complete(connect(stack, application_name))
    try:
        loop.run_until_complete(connection.execute("BEGIN"))
        for statement in statements:
            loop.run_until_complete(connection.execute(statement))
        yield
    finally:
        loop.run_until_complete(connection.close())
        loop.close()


@dataclass
class World:
    """A whole stack that Prometheus scrapes."""

    stack: Stack
    prometheus: Prometheus
    bank: SimulatedBank
    directory: Path
    free_port_base: Callable[[], int]
    _people: list[Holder] = field(default_factory=list)

    def person(self) -> Holder:
        """Someone new with ₹1,000."""
        self._people.append(Holder(self.stack.url("user_app"), first_name="Asha", last_name="Rao"))
        return self._people[-1]

    def close(self) -> None:
        """Close the connections of all people."""
        for person in self._people:
            person.close()

    def sql(self, *statements: str) -> list[Any]:
        """Run statements as a superuser, past every trigger. Answers the rows of the last."""

        async def run() -> list[Any]:
            connection = await self.connect("drill")
            try:
                async with connection.transaction():
                    await connection.execute("SET LOCAL session_replication_role = replica")
                    for statement in statements[:-1]:
                        await connection.execute(statement)
                    return list(await connection.fetch(statements[-1]))
            finally:
                await connection.close()

        return asyncio.run(run())

    async def connect(self, application_name: str) -> asyncpg.Connection:
        """A superuser's connection."""
        return await connect(self.stack, application_name)

    def batua(self, *arguments: str) -> None:
        """Run a command in this process, whatever it says."""
        CliRunner().invoke(app, arguments, env=self.stack.environment())

    def scraped(self, expression: str) -> None:
        """Wait until Prometheus has series for this expression."""
        eventually(lambda: self.prometheus.ask(expression), f"Prometheus has scraped {expression}")

    def holding(self, *statements: str, application_name: str) -> AbstractContextManager[None]:
        """A superuser's transaction that has run these statements and stays open."""
        return holding(self.stack, *statements, application_name=application_name)

    @contextmanager
    def stopped(self, *processes: str) -> Iterator[None]:
        """Some processes of the stack, stopped."""
        for process in processes:
            self.stack.stop_process(process)
        try:
            yield
        finally:
            for process in processes:
                self.stack.start_process(process)


@dataclass(frozen=True)
class Drill:
    """How an alert comes true, and a word of what the runbook's commands print then: the cause."""

    condition: Callable[[World], AbstractContextManager[None]]
    cause: str
    in_seconds: float = 0
    """The alert is about time that passes: it fires when this stays as it is for so long."""
    is_long: bool = False
    """It takes more than a few seconds: `make test-deep` runs it."""


def withdraw(person: Holder) -> str:
    """Request a withdrawal of ₹100. Returns its id."""
    body = {"bank": "hdfc", "account_number": "50100012345678", "ifsc": "HDFC0000123", "account_holder": "Asha Rao"}
    answer = person.post("/withdrawals", {**body, "amount": 100_00, "pin": PIN}, expect_status=202)
    return str(answer.json()["id"])
