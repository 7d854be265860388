"""Run a transaction again when the database gave it up for a moment.

One Postgres does so at a deadlock, a failover or a lost connection, a distributed one also whenever two transactions
meet. None of that is the caller's business, as long as the work is done once: `in_transaction` says who sees to that.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from shared.db.engine import SessionMaker
from shared.db.outages import DATABASE_ERRORS, is_momentary, is_rolled_back

MAX_ATTEMPTS = 4
PAUSE_SECONDS = 0.02
"""Before the second attempt; it doubles with each further one."""

T = TypeVar("T")

_logger = logging.getLogger(__name__)


class _CommitUnanswered(Exception):
    """The connection was lost during a commit that must not be repeated."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


async def in_transaction(
    sessionmaker: SessionMaker, work: Callable[[AsyncSession], Awaitable[T]], *, at_most_once: bool = False
) -> T:
    """Run `work` in a transaction and commit it; run it again, MAX_ATTEMPTS in all, if the database fails for a moment.

    When the answer to a commit is lost, it is not known whether it took effect. So `work` must find by itself what an
    earlier run did: by an idempotency key, or by an id that was made before the first run. Work that cannot is run
    `at_most_once`: then a commit without an answer raises. What `work` changes outside the database, it changes again.
    Raises what `work` raises, and the error of the last attempt.
    """

    async def attempt() -> T:
        async with sessionmaker() as session:
            result = await work(session)
            if at_most_once:
                await session.flush()  # so that what fails below is the commit alone
            try:
                await session.commit()
            except DATABASE_ERRORS as error:
                if at_most_once and not is_rolled_back(error):
                    raise _CommitUnanswered(error) from error
                raise
            return result

    try:
        return await retried(attempt)
    except _CommitUnanswered as unanswered:
        raise unanswered.error from None


async def retried(attempt: Callable[[], Awaitable[T]]) -> T:
    """Call `attempt`, which is safe to repeat, until the database does not fail for a moment: MAX_ATTEMPTS times."""
    for number in range(1, MAX_ATTEMPTS):
        try:
            return await attempt()
        except DATABASE_ERRORS as error:
            if not is_momentary(error):
                raise
            _logger.info("transaction failed, attempt %d: %s", number, _cause(error))
        # Random, so that two that met do not meet again.
        await asyncio.sleep(PAUSE_SECONDS * 2 ** (number - 1) * (1 + secrets.randbelow(100) / 100))
    return await attempt()


def _cause(error: BaseException) -> str:
    original = getattr(error, "orig", None)
    return type(error).__name__ if original is None else f"{type(error).__name__} ({type(original).__name__})"
