"""Ask Postgres once what many requests ask at the same moment.

Questions that arrive while a statement runs are gathered and asked by the next one. There is no timer: an idle process
asks at once. A question never joins a statement that was already sent, so the answer contains whatever was committed
before the question was asked: a session revoked a moment ago is seen as revoked. Owners take turns in the queue.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine

from shared import spans
from shared.callers import WhileWanted
from shared.db.direct import direct_connection
from shared.db.outages import may_pass_at_once
from shared.fair_queue import FairQueue

MAX_BATCH = 256
MAX_WAITING = 4096
MAX_WAITING_OF_OWNER = 1024
TIMEOUT_SECONDS = 20.0

QuestionT = TypeVar("QuestionT")
AnswerT = TypeVar("AnswerT")


class DatabaseBusy(TimeoutError):
    """As many questions wait as a process may hold, or an owner may ask. Callers answer it as they do a timeout."""


@dataclass(slots=True, eq=False)
class _Asked(Generic[QuestionT, AnswerT]):
    question: QuestionT
    answer: asyncio.Future[AnswerT]


class Gather(Generic[QuestionT, AnswerT]):
    """One kind of question. `ask_all` asks many in one statement and answers them in order.

    `ask_all` only reads: a broken connection makes it run again.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        ask_all: Callable[[asyncpg.Connection, Sequence[QuestionT]], Awaitable[Sequence[AnswerT]]],
    ) -> None:
        self._engine = engine
        self._ask_all = ask_all
        self._waiting: FairQueue[_Asked[QuestionT, AnswerT]] = FairQueue(MAX_WAITING, MAX_WAITING_OF_OWNER)
        self._task: asyncio.Task[None] | None = None

    async def ask(self, question: QuestionT, owner_id: UUID) -> AnswerT:
        """The answer to a question of this owner. Raises DatabaseBusy at once when MAX_WAITING questions wait, or
        MAX_WAITING_OF_OWNER of this owner; TimeoutError after TIMEOUT_SECONDS, CallerLeft, and what the driver raises.

        A caller that is cancelled or leaves withdraws a question that was not sent yet.
        """
        with WhileWanted():
            loop = asyncio.get_running_loop()
            asked: _Asked[QuestionT, AnswerT] = _Asked(question, loop.create_future())
            if not self._waiting.put(owner_id, asked):
                raise DatabaseBusy
            if self._task is None:
                self._task = asyncio.create_task(self._answer_waiting())
            timer = loop.call_later(TIMEOUT_SECONDS, _give_up, asked.answer)
            try:
                if not spans.are_on():
                    return await asked.answer
                with spans.span(f"ask {getattr(self._ask_all, '__name__', 'Postgres')}", "client"):
                    return await asked.answer
            finally:
                timer.cancel()

    async def _answer_waiting(self) -> None:
        try:
            while batch := self._take():
                await self._answer_from(batch)
        finally:
            self._task = None

    async def _answer_from(self, batch: list[_Asked[QuestionT, AnswerT]]) -> None:
        """Answer this batch and those that gather meanwhile, on one connection while it works."""
        try:
            async with direct_connection(self._engine) as connection:
                while batch:
                    _give(batch, await self._ask_all(connection, [asked.question for asked in batch]))
                    batch = self._take()
        except Exception as error:  # any error belongs to the callers; the next batch starts anew
            await self._ask_again(batch, error)

    async def _ask_again(self, batch: list[_Asked[QuestionT, AnswerT]], error: Exception) -> None:
        if may_pass_at_once(error):
            await self._ask_apart([batch])
        elif len(batch) == 1:
            _fail(batch, error)
        else:  # one bad question must not fail the others
            await self._ask_apart([[asked] for asked in batch])

    async def _ask_apart(self, batches: list[list[_Asked[QuestionT, AnswerT]]]) -> None:
        for batch in batches:
            try:
                async with direct_connection(self._engine) as connection:
                    _give(batch, await self._ask_all(connection, [asked.question for asked in batch]))
            except Exception as error:
                _fail(batch, error)

    def _take(self) -> list[_Asked[QuestionT, AnswerT]]:
        taken: list[_Asked[QuestionT, AnswerT]] = []
        while self._waiting and len(taken) < MAX_BATCH:
            asked = self._waiting.pop()
            if not asked.answer.done():
                taken.append(asked)
        return taken


def _give_up(answer: asyncio.Future[AnswerT]) -> None:
    if not answer.done():
        answer.set_exception(TimeoutError())


def _give(batch: Sequence[_Asked[QuestionT, AnswerT]], answers: Sequence[AnswerT]) -> None:
    for asked, answer in zip(batch, answers, strict=True):
        if not asked.answer.done():
            asked.answer.set_result(answer)


def _fail(batch: Sequence[_Asked[QuestionT, AnswerT]], error: Exception) -> None:
    for asked in batch:
        if not asked.answer.done():
            asked.answer.set_exception(error)
