"""A standby that answers reads of an account's history, as long as it is near enough to the primary.

Each read names the account and the number of its newest entry, as the primary said when the caller was authenticated.
A standby that has not replayed that entry is not believed: no one sees less than what they did, or were paid, before.
How far the standby is behind is told by positions of the primary's log, noted at known times, so that no clock of
another machine counts. Whatever is wrong with the standby, the primary answers.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID
from weakref import WeakSet

import asyncpg
from prometheus_client import Counter, Gauge
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from shared.db.direct import begun, direct_connection
from shared.db.engine import SessionMaker
from shared.db.gather import AnswerT, Gather, QuestionT
from shared.db.outages import DATABASE_ERRORS
from shared.db.reads import Reads, Row
from shared.db.retries import in_transaction
from shared.db.transaction import SessionTransaction, Transaction

LOOK_SECONDS = 0.5
LOOK_TIMEOUT_SECONDS = 2.0

_WRITTEN = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint"
_HAS = """
    SELECT CASE WHEN pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0')::bigint END,
           ARRAY(SELECT coalesce((SELECT seq FROM accounts WHERE id = asked.id), -1)
                 FROM unnest($1::uuid[]) WITH ORDINALITY AS asked (id, place) ORDER BY asked.place)
"""
_READS = Counter("batua_replica_reads", "Reads that a replica may answer, by what became of them", ["outcome"])
_LAG = Gauge("batua_replica_lag_seconds", "How old at most what the replica shows is", multiprocess_mode="livemax")

_logger = logging.getLogger(__name__)
Answer = TypeVar("Answer")


class Mark(NamedTuple):
    """The newest entry of an account, as the primary knows it."""

    account_id: UUID
    seq: int


class Positions:
    """Where the primary's log was, and when. Times are those of one monotonic clock, in seconds."""

    def __init__(self, span: float) -> None:
        """Keep those of the last `span` seconds."""
        self._span = span
        self._noted: deque[tuple[float, int]] = deque()

    def note(self, at: float, written: int) -> None:
        """At this time nothing beyond `written` was committed yet. A position that comes back is another primary's."""
        if self._noted and written < self._noted[-1][1]:
            self._noted.clear()
        self._noted.append((at, written))
        while self._noted[0][0] < at - self._span:
            self._noted.popleft()

    def reached_at(self, replayed: int) -> float:
        """A server that has replayed so much shows everything that was committed before this time."""
        return next((at for at, written in reversed(self._noted) if written <= replayed), float("-inf"))


class Replica:
    """The standby, or whichever of several a connection leads to."""

    def __init__(
        self,
        engine: AsyncEngine,
        direct_engine: AsyncEngine,
        *,
        primary: AsyncEngine,
        lag_seconds: float,
        is_pooled: bool,
    ) -> None:
        """`direct_engine` is for gathered questions, as that of the primary."""
        self.direct_engine = direct_engine
        self._engine = engine
        self._primary = primary
        self._lag_seconds = lag_seconds
        # A pooler may lead to another server after each transaction.
        self._is_pooled = is_pooled
        self._lookups = engine.execution_options(**({} if is_pooled else {"isolation_level": "AUTOCOMMIT"}))
        self._positions = Positions(span=2 * lag_seconds)
        self._shows_all_until = float("-inf")
        self._in_use: WeakSet[asyncpg.Connection] = WeakSet()
        for each in (engine, direct_engine):
            event.listen(each.sync_engine, "checkout", self._take)
            event.listen(each.sync_engine, "checkin", self._give_back)

    @property
    def is_near(self) -> bool:
        """Whether it is worth asking: what it shows was not too old when it was last looked at, nor is by now."""
        return _now() - self._shows_all_until <= self._lag_seconds

    async def fetch(self, mark: Mark, query: str, arguments: Sequence[Any]) -> Sequence[Row] | None:
        """The rows of a SELECT; None if the primary must answer."""
        if not self.is_near:
            self.leave("far")
            return None
        try:
            async with direct_connection(self._engine) as connection, self.on_one_server(connection):
                if not all(await self.has(connection, [mark])):
                    self.leave("behind")
                    return None
                rows: Sequence[Row] = await connection.fetch(query, *arguments)
        except DATABASE_ERRORS as error:  # also a table that it has not got yet: the primary knows better
            self.leave_after(error)
            return None
        self.count_answer()
        return rows

    async def ask(self, work: Callable[[AsyncSession], Awaitable[Answer]], otherwise: SessionMaker) -> Answer:
        """What `work` reads in a session, where an answer that is `lag_seconds` old will do."""
        if self.is_near:
            try:
                async with AsyncSession(self._lookups) as session:
                    await self.has(SessionTransaction(session), [])
                    answer = await work(session)
            except DATABASE_ERRORS as error:
                self.leave_after(error)
            else:
                self.count_answer()
                return answer
        else:
            self.leave("far")
        return await in_transaction(otherwise, work)

    async def has(self, transaction: Transaction, marks: Sequence[Mark]) -> list[bool]:
        """Whether this connection's server shows these entries. Raises TargetServerAttributeNotMatched for one that is
        no standby, or is further behind than it may be.
        """
        ((replayed, newest),) = await transaction.fetch(_HAS, [mark.account_id for mark in marks])
        # A server that is no standby may be a primary that was cut off, with payments that no longer happened.
        if replayed is None or _now() - self._positions.reached_at(replayed) > self._lag_seconds:
            raise asyncpg.TargetServerAttributeNotMatched("the replica is no standby, or too far behind")
        return [mark.seq <= seq for mark, seq in zip(marks, newest, strict=True)]

    def count_answer(self) -> None:
        """Count a read that it has answered."""
        _READS.labels("replica").inc()

    def leave(self, outcome: str) -> None:
        """Count a read that is left to the primary."""
        _READS.labels(outcome).inc()

    def leave_after(self, error: BaseException) -> None:
        """The same where it failed."""
        _logger.info("a read of the replica failed: %s", type(error).__name__)
        self.leave("failed")

    def on_one_server(self, connection: asyncpg.Connection) -> AbstractAsyncContextManager[Any]:
        """The statements of this block are answered by one server, also behind a pooler."""
        return begun(connection) if self._is_pooled else nullcontext()

    async def watch(self) -> None:
        """Look at it again and again."""
        while True:
            await self._look()
            await asyncio.sleep(min(LOOK_SECONDS, self._lag_seconds / 4))

    async def _look(self) -> None:
        asked_at = _now()
        try:
            async with asyncio.timeout(LOOK_TIMEOUT_SECONDS), direct_connection(self._primary) as connection:
                self._positions.note(asked_at, await connection.fetchval(_WRITTEN))
        except DATABASE_ERRORS:
            return  # then no one can sign in either
        try:
            async with asyncio.timeout(LOOK_TIMEOUT_SECONDS), direct_connection(self._engine) as connection:
                replayed, _ = await connection.fetchrow(_HAS, [])
        except DATABASE_ERRORS as error:
            replayed = None
            self._break_off(error)
        was_near = self.is_near
        self._shows_all_until = float("-inf") if replayed is None else self._positions.reached_at(replayed)
        if was_near != self.is_near:
            _logger.info("reads go to the %s", "replica" if self.is_near else "primary")
        _LAG.set(_now() - self._shows_all_until)

    def _break_off(self, error: BaseException) -> None:
        """Let no one wait for a server that does not answer."""
        _logger.warning("the replica does not answer: %s", type(error).__name__)
        for connection in list(self._in_use):
            connection.terminate()

    def _take(self, connection: Any, _record: Any, _proxy: Any) -> None:
        self._in_use.add(connection.driver_connection)

    def _give_back(self, connection: Any, _record: Any) -> None:
        if connection is not None:
            self._in_use.discard(connection.driver_connection)


class ReadsOfHistory(Reads):
    """Reads of one account's history: by the replica, if it shows the marked entry, and else by the primary."""

    def __init__(self, primary: Reads, replica: Replica, mark: Mark) -> None:
        self._primary = primary
        self._replica = replica
        self._mark = mark
        self._is_by_primary = False

    async def fetch(self, query: str, /, *arguments: Any) -> Sequence[Row]:
        """The rows of a SELECT. Raises what the driver raises at the primary."""
        if not self._is_by_primary:
            rows = await self._replica.fetch(self._mark, query, arguments)
            if rows is not None:
                return rows
            self._is_by_primary = True  # a page takes all that follows from there too
        return await self._primary.fetch(query, *arguments)


class HistoryGather(Generic[QuestionT, AnswerT]):
    """One kind of question about accounts' histories, gathered and asked of the replica. `ask_all` as for a Gather."""

    def __init__(
        self,
        replica: Replica,
        ask_all: Callable[[asyncpg.Connection, Sequence[QuestionT]], Awaitable[Sequence[AnswerT]]],
    ) -> None:
        self._replica = replica
        self._ask_all = ask_all
        self._gather = Gather(replica.direct_engine, self._ask_what_it_has)

    async def ask(self, question: QuestionT, mark: Mark, owner_id: UUID) -> AnswerT | None:
        """The answer to a question of this owner; None if the primary must answer. Raises CallerLeft."""
        if not self._replica.is_near:
            self._replica.leave("far")
            return None
        try:
            answer = await self._gather.ask((question, mark), owner_id)
        except DATABASE_ERRORS as error:
            self._replica.leave_after(error)
            return None
        if answer is None:
            self._replica.leave("behind")
            return None
        self._replica.count_answer()
        return answer

    async def _ask_what_it_has(
        self, connection: asyncpg.Connection, asked: Sequence[tuple[QuestionT, Mark]]
    ) -> list[AnswerT | None]:
        async with self._replica.on_one_server(connection):
            are_there = await self._replica.has(connection, [mark for _, mark in asked])
            answerable = [question for (question, _), is_there in zip(asked, are_there, strict=True) if is_there]
            answers = iter(await self._ask_all(connection, answerable) if answerable else ())
        return [next(answers) if is_there else None for is_there in are_there]


@asynccontextmanager
async def watched(replica: Replica) -> AsyncIterator[Replica]:
    """The replica, looked at for as long as the block lasts."""
    watching = asyncio.create_task(replica.watch())
    try:
        yield replica
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


def _now() -> float:
    return asyncio.get_running_loop().time()
