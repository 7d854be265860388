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
        until = timedelta(seconds=pace_seconds * SHOWN_PACES)
        is_up = all([await self._ask(name, question, until) for name, question in _OFTEN.items()])
        self.figures.show("postgres", questions.postgres_is(is_up), until=clock.now() + until)
        for name, redis in self.stores.items():
            self.figures.show(f"redis {name}", await _of_redis(name, redis), until=clock.now() + until)

    async def look_at_balances(self, pace_seconds: float) -> float:
        """Add up all balances. Returns after how many seconds to do it again. Raises nothing."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        longest = timedelta(seconds=SHOWN_PACES * max(pace_seconds, questions.BALANCES_SECONDS))
        await self._ask("balances", questions.balances, longest)
        return max(pace_seconds, REST * (loop.time() - began))

    async def _ask(self, name: str, question: Question, shown_for: timedelta) -> bool:
        """False when Postgres is away."""
        try:
            async with self.sessionmaker() as session:
                readings = await question(session)
        except Exception as error:  # whatever one question raises, the others are asked
            if is_outage(error):
                return False
            _logger.exception("the metrics lack what is known of %s", name)
        else:
            self.figures.show(name, readings, until=clock.now() + shown_for)
        return True


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
