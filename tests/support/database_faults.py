"""Connections to Postgres that fail where a test chooses: a conflict, a demoted server, a connection that is lost.

Every fault is the server's own: it raises the error in the transaction at hand, or ends the connection. So what the
driver and the pool make of it is what they make of it in production.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import Any, ClassVar
from unittest import mock

import asyncpg
from asyncpg.prepared_stmt import PreparedStatement

_is_own_work: ContextVar[bool] = ContextVar("_is_own_work", default=False)
"""Whether a service does this by itself, such as writing its audit: tasks inherit it from what started the service."""


class Fault(Enum):
    """What happens in place of a statement, or after it."""

    SERIALIZATION = "40001"
    DEADLOCK = "40P01"
    READ_ONLY = "25006"
    LOST = "lost before it took effect"
    LOST_AFTER = "lost after it took effect"
    CUT = "cut while it is under way"

    @property
    def is_raised(self) -> bool:
        """Whether the server raises an error of this SQLSTATE, and the connection stays."""
        return self in {Fault.SERIALIZATION, Fault.DEADLOCK}


@dataclass
class Faults:
    """Says what befalls each statement. `seen` are the statements since `begin`, BEGIN and COMMIT among them.

    What a service does by itself meanwhile is not among them: it would shift the others' numbers.
    """

    seen: list[str] = field(default_factory=list)
    made: int = 0
    _at: int | None = None
    _fault: Fault | None = None
    _dice: random.Random | None = None
    _share: float = 0.0
    _is_on: bool = False

    def begin(self, *, at: int | None = None, fault: Fault | None = None) -> None:
        """Count from here. The statement with the number `at` (from 0) meets this fault."""
        self.seen, self.made, self._at, self._fault, self._dice = [], 0, at, fault, None
        self._is_on = True
        _is_own_work.set(False)

    def begin_storm(self, dice: random.Random, share: float) -> None:
        """From here, this share of all statements meets a fault of any kind, also of what a service does by itself."""
        self.begin()
        self._dice, self._share = dice, share

    def end(self) -> None:
        """No more faults, and no more counting."""
        self._is_on = False

    def next(self, query: str) -> Fault | None:
        """What befalls the statement that is about to be sent."""
        if not self._is_on or (_is_own_work.get() and self._dice is None):
            return None
        found = self._fault if len(self.seen) == self._at else None
        if self._dice is not None and self._dice.random() < self._share:
            found = self._dice.choice(list(Fault))
        self.seen.append(query)
        self.made += found is not None
        return found


class FaultyConnection(asyncpg.Connection):  # type: ignore[misc]  # the driver has no types
    """A connection of the driver whose statements meet the faults of `faults`."""

    faults: ClassVar[Faults]

    async def execute(self, query: str, *arguments: Any, **more: Any) -> str:
        """BEGIN, COMMIT, a savepoint. A rollback never fails: the server has rolled back by then."""
        if query.startswith("ROLLBACK"):
            return str(await super().execute(query, *arguments, **more))
        return str(await self.meet(query, partial(super().execute, query, *arguments, **more)))

    async def fetch(self, query: str, *arguments: Any, **more: Any) -> Any:
        """A statement of the driver's own users."""
        return await self.meet(query, partial(super().fetch, query, *arguments, **more))

    async def executemany(self, command: str, arguments: Any, **more: Any) -> Any:
        """The same statement for many rows."""
        return await self.meet(command, partial(super().executemany, command, arguments, **more))

    async def prepare(self, query: str, **more: Any) -> Any:
        """A statement of a session, which is prepared once and fetched often."""
        return FaultyStatement(self, query, await super().prepare(query, **more))

    async def meet(self, query: str, send: Callable[[], Awaitable[Any]]) -> Any:
        """Send it, and let it meet its fault."""
        fault = self.faults.next(query)
        # A rollback to a savepoint is sent where the transaction is aborted already: it can only be cut.
        if fault is None or (query.startswith("ROLLBACK") and fault is not Fault.CUT):
            return await send()
        if fault is Fault.CUT:
            asyncio.get_running_loop().call_soon(self._transport.abort)
            return await send()
        if fault is Fault.READ_ONLY:  # from here on the transaction can only read, as on a server that was demoted
            await super().execute("SET TRANSACTION READ ONLY")
            return await send()
        if fault.is_raised:
            await self._raise(fault, ends=query.startswith("COMMIT"))
        if fault is Fault.LOST_AFTER:
            await send()
        await super().execute("SELECT pg_terminate_backend(pg_backend_pid())")
        raise AssertionError("the connection is still there")

    async def _raise(self, fault: Fault, *, ends: bool) -> None:
        code = f"DO $$ BEGIN RAISE EXCEPTION 'a fault of the test' USING ERRCODE = '{fault.value}'; END $$"
        try:
            await super().execute(code)
        finally:
            if ends:  # a commit that fails ends the transaction
                await super().execute("ROLLBACK")


class FaultyStatement:
    """A prepared statement that meets faults when it is fetched."""

    def __init__(self, connection: FaultyConnection, query: str, statement: PreparedStatement) -> None:
        self._connection = connection
        self._query = query
        self._statement = statement

    async def fetch(self, *arguments: Any, **more: Any) -> Any:
        """All rows."""
        return await self._connection.meet(self._query, partial(self._statement.fetch, *arguments, **more))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._statement, name)


@contextmanager
def faulty_engines(*services: str) -> Iterator[Faults]:
    """Connections that these services make within the block meet the faults of the answer. Those of tests do not."""
    faults = Faults()
    _is_own_work.set(True)
    kind = type("FaultyConnectionOfTest", (FaultyConnection,), {"faults": faults})
    connect = asyncpg.connect

    async def connect_faultily(url: str, **options: Any) -> asyncpg.Connection:
        if options.get("server_settings", {}).get("application_name") in services:
            options["connection_class"] = kind
        return await connect(url, **options)

    with mock.patch("shared.db.connecting.asyncpg.connect", connect_faultily):
        yield faults
