"""Keyed requests as a flow receives them when Redis is away: Postgres alone decides which are repeated."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from shared.idempotency.claims import Answer, Claim
from shared.idempotency.guard import DuplicateGuard


class NoGuard(DuplicateGuard):
    """Lets every request through to the database."""

    def __init__(self) -> None:
        """Needs no Redis."""

    async def run(self, claim: Claim, work: Callable[[], Awaitable[Answer]]) -> Answer:
        """Run `work`."""
        return await work()
