"""The guard in front of the database: answers repeated requests from Redis before they cost a database transaction.

Correctness does not depend on it. When Redis is away or was emptied, Postgres alone decides (see `store`).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from redis.asyncio import Redis

from shared.idempotency.claims import Answer, Claim
from shared.idempotency.errors import IdempotencyKeyReused, RequestInFlight
from shared.redis.client import REDIS_ERRORS
from shared.redis.cool_down import CoolDown

IN_FLIGHT_SECONDS = 30
FINISHED_SECONDS = 24 * 3600

_logger = logging.getLogger(__name__)


class DuplicateGuard:
    """Keeps copies of a request away from the database: keys in flight for 30 seconds, answers for a day."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._cool_down = CoolDown()  # so that not every request waits for a Redis that is away

    async def run(self, claim: Claim, work: Callable[[], Awaitable[Answer]]) -> Answer:
        """Run `work` if its key is new. A known key gets its first answer, RequestInFlight or IdempotencyKeyReused.

        If `work` raises, the key is free again; in Postgres its own transaction has freed it.
        """
        if not self._cool_down.is_over:
            return await work()
        known = await self._enter(claim)
        if known is not None:
            return known
        try:
            answer = await work()
        except BaseException:
            await self._try(self._redis.delete(_redis_key(claim)))
            raise
        await self._try(self._redis.set(_redis_key(claim), _to_json(claim, answer), ex=FINISHED_SECONDS))
        return answer

    async def _enter(self, claim: Claim) -> Answer | None:
        """The first answer of a known key; None if the key is new and marked as in flight now, or Redis is away."""
        redis_key = _redis_key(claim)
        try:
            if await self._redis.set(redis_key, _to_json(claim, None), nx=True, ex=IN_FLIGHT_SECONDS):
                return None
            stored = await self._redis.get(redis_key)
        except REDIS_ERRORS as error:
            self._cool_down.start()
            _logger.warning("Redis is away; Postgres decides alone which requests are repeated: %s", error)
            return None
        return _first_answer(claim, json.loads(stored)) if stored else None

    async def _try(self, command: Awaitable[Any]) -> None:
        try:
            await command
        except REDIS_ERRORS as error:
            self._cool_down.start()
            _logger.warning("Redis is away; it does not remember this request: %s", error)


def _first_answer(claim: Claim, stored: dict[str, Any]) -> Answer:
    if stored["fingerprint"] != claim.fingerprint:
        raise IdempotencyKeyReused(claim.differing_fields(stored["field_hashes"]))
    if stored["answer"] is None:
        raise RequestInFlight
    return Answer(stored["answer"]["status"], stored["answer"]["body"], is_replayed=True)


def _redis_key(claim: Claim) -> str:
    return f"idem:{claim.owner_id}:{claim.key}"


def _to_json(claim: Claim, answer: Answer | None) -> str:
    return json.dumps(
        {
            "fingerprint": claim.fingerprint,
            "field_hashes": dict(claim.field_hashes),
            "answer": None if answer is None else {"status": answer.status, "body": answer.body},
        }
    )
