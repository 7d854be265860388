"""The fast guard in front: turns copies away in Redis before they cost a transaction.

It protects nothing that matters. When Redis is away, or forgot, Postgres alone decides.
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


class Guard:
    """Remembers keys in flight for 30 seconds and finished answers for a day."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._cool_down = CoolDown()  # a dead Redis costs one request a moment, not every one

    async def run(self, claim: Claim, work: Callable[[], Awaitable[Answer]]) -> Answer:
        """Do `work` unless the key is known: then its first answer, RequestInFlight or IdempotencyKeyReused.

        A refused or failed `work` frees the key here; in Postgres its own transaction did that.
        """
        if not self._cool_down.is_over:
            return await work()
        known = await self._enter(claim)
        if known is not None:
            return known
        try:
            answer = await work()
        except BaseException:
            await self._quietly(self._redis.delete(_name(claim)))
            raise
        await self._quietly(self._redis.set(_name(claim), _write(claim, answer), ex=FINISHED_SECONDS))
        return answer

    async def _enter(self, claim: Claim) -> Answer | None:
        name = _name(claim)
        try:
            if await self._redis.set(name, _write(claim, None), nx=True, ex=IN_FLIGHT_SECONDS):
                return None
            stored = await self._redis.get(name)
        except REDIS_ERRORS as error:
            self._cool_down.start()
            _logger.warning("idempotency guard is away, Postgres decides alone: %s", error)
            return None
        return _judge(claim, json.loads(stored)) if stored else None

    async def _quietly(self, command: Awaitable[Any]) -> None:
        try:
            await command
        except REDIS_ERRORS as error:
            self._cool_down.start()
            _logger.warning("idempotency guard is away: %s", error)


def _judge(claim: Claim, stored: dict[str, Any]) -> Answer:
    if stored["fingerprint"] != claim.fingerprint:
        raise IdempotencyKeyReused(claim.differing_fields(stored["field_hashes"]))
    if stored["answer"] is None:
        raise RequestInFlight
    return Answer(stored["answer"]["status"], stored["answer"]["body"], is_replayed=True)


def _name(claim: Claim) -> str:
    return f"idem:{claim.owner_id}:{claim.key}"


def _write(claim: Claim, answer: Answer | None) -> str:
    return json.dumps(
        {
            "fingerprint": claim.fingerprint,
            "field_hashes": dict(claim.field_hashes),
            "answer": None if answer is None else {"status": answer.status, "body": answer.body},
        }
    )
