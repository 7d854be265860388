"""Look at the books and the stores for the metrics: one process asks, at its own pace, however often they are read.

It needs neither the broker nor the scheduler, so the metrics tell of their absence. While Postgres is away the figures
about it go, and `batua_postgres_up` says why.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from prometheus_client import REGISTRY
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncSession

from services.withdraw_worker import questions
from services.withdraw_worker.figures import Figures, Reading
from shared import clock
from shared.db.engine import SessionMaker
from shared.db.outages import is_outage
from shared.redis.client import REDIS_ERRORS

REST = 50
"""After a look at every account, so many times as long as it took passes until the next."""
SHOWN_PACES = 4
"""A figure that is not renewed is shown for so many of its pauses."""

Question = Callable[[AsyncSession], Awaitable[Sequence[Reading]]]

_OFTEN: Mapping[str, Question] = {
    "withdrawals": questions.withdrawals,
    "banks": questions.banks,
    "proofs": questions.proofs,
    "mail": questions.mail,
    "server": questions.server,
}

_figures = Figures(questions.FIGURES)
REGISTRY.register(_figures)

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Measuring:
    """Asks all questions. `stores` are the Redis servers, by what they are used for."""

    sessionmaker: SessionMaker
    stores: Mapping[str, Redis]
    figures: Figures = _figures

    async def look(self, pace_seconds: float) -> None:
        """Ask what is cheap to know. Raises nothing."""
        shown_seconds, is_up = SHOWN_PACES * pace_seconds, True
        for name, question in _OFTEN.items():
            readings, is_there = await self._ask(name, question)
            self._show(name, readings, shown_seconds)
            is_up = is_up and is_there
        self._show("postgres", questions.postgres_is(is_up), shown_seconds)
        for name, redis in self.stores.items():
            self._show(f"redis {name}", await _of_redis(name, redis), shown_seconds)

    async def look_at_balances(self, pace_seconds: float) -> float:
        """Add up all balances. Returns after how many seconds to do it again. Raises nothing."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        readings, _ = await self._ask("balances", questions.balances)
        pause_seconds = max(pace_seconds, REST * (loop.time() - began))
        until_the_next_seconds = pause_seconds + questions.BALANCES_SECONDS
        self._show("balances", readings, max(SHOWN_PACES * pace_seconds, until_the_next_seconds))
        return pause_seconds

    async def _ask(self, name: str, question: Question) -> tuple[Sequence[Reading] | None, bool]:
        """The readings, or None; and whether Postgres is there."""
        try:
            async with self.sessionmaker() as session:
                return await question(session), True
        except Exception as error:  # whatever one question raises, the others are asked
            if is_outage(error):
                return None, False
            _logger.exception("the metrics lack what is known of %s", name)
            return None, True

    def _show(self, name: str, readings: Sequence[Reading] | None, seconds: float) -> None:
        if readings is not None:
            self.figures.show(name, readings, until=clock.now() + timedelta(seconds=seconds))


@asynccontextmanager
async def measuring(measuring: Measuring, *, pace_seconds: float, balances_seconds: float) -> AsyncIterator[None]:
    """Keep looking as long as the block lasts."""
    tasks = [
        asyncio.create_task(_keep_looking(measuring, pace_seconds)),
        asyncio.create_task(_keep_adding_up(measuring, balances_seconds)),
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _keep_looking(measuring: Measuring, pace_seconds: float) -> None:
    while True:
        await measuring.look(pace_seconds)
        await asyncio.sleep(pace_seconds)


async def _keep_adding_up(measuring: Measuring, pace_seconds: float) -> None:
    while True:
        pause_seconds = await measuring.look_at_balances(pace_seconds)
        await asyncio.sleep(pause_seconds)


async def _of_redis(name: str, redis: Redis) -> Sequence[Reading]:
    try:
        return await questions.redis_holds(name, redis)
    except REDIS_ERRORS:
        return questions.redis_is_away(name)
