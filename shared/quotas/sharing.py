"""Tell the other processes through Redis what heavy users did here, and learn what they did there.

No request waits for it. Each process writes its own count of each owner, whole and not the difference, so a count that
was lost or damaged in Redis is there again after the next one. While Redis is away each process counts alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from redis.asyncio import Redis

from shared.ids import new_token
from shared.quotas.counts import Counts, Share
from shared.redis.client import REDIS_ERRORS

KEY_PREFIX = "batua:counts:"
SHARE_SECONDS = 1.0
BATCH = 500
MAX_PROCESSES = 256

_logger = logging.getLogger(__name__)

# For each key: this process's count, and the sum over all. A key of another type, or with more processes than there
# can be, is not ours: it is written anew. A field that is no count is left out.
_SHARE_ALL = f"""
local sums = {{}}
for i = 2, #ARGV, 3 do
    local key = ARGV[i]
    if redis.call('TYPE', key).ok ~= 'hash' or redis.call('HLEN', key) > {MAX_PROCESSES} then
        redis.call('DEL', key)
    end
    redis.call('HSET', key, ARGV[1], ARGV[i + 1])
    redis.call('EXPIRE', key, ARGV[i + 2])
    local sum = 0
    for _, value in ipairs(redis.call('HVALS', key)) do
        if string.match(value, '^%d+$') and #value < 13 then sum = sum + tonumber(value) end
    end
    sums[#sums + 1] = sum
end
return sums
"""


class Sharing:
    """Shares the counts of one process. Use `open_sharing`."""

    def __init__(self, counts: Counts, redis: Redis) -> None:
        self._counts = counts
        self._redis = redis
        self._process = new_token(12)

    async def run(self) -> None:
        """Share every SHARE_SECONDS what has changed, until cancelled. What fails is shared when it changes again."""
        is_away = False
        while True:
            await asyncio.sleep(SHARE_SECONDS)
            try:
                await self.share()
            except REDIS_ERRORS as error:
                if not is_away:
                    _logger.warning("Redis is away; each process counts its quotas alone: %s", type(error).__name__)
                is_away = True
            else:
                is_away = False

    async def share(self) -> None:
        """Share what has changed. Raises one of REDIS_ERRORS."""
        while self._counts.has_news:
            shares = list(self._counts.shares(BATCH))
            for share, total in zip(shares, await self._totals(shares), strict=True):
                self._counts.learn(share, int(total))

    async def _totals(self, shares: Sequence[Share]) -> Sequence[int]:
        arguments = [part for each in shares for part in (_key_of(each), each.own, each.seconds_left)]
        command = ("EVAL", _SHARE_ALL, 0, self._process, *arguments)
        totals: Sequence[int] = await self._redis.execute_command(*command)  # type: ignore[no-untyped-call]
        return totals


def _key_of(share: Share) -> str:
    quota, owner_id = share.name
    return f"{KEY_PREFIX}{quota}:{share.period}:{owner_id}"


@asynccontextmanager
async def open_sharing(counts: Counts, redis: Redis) -> AsyncIterator[None]:
    """Share these counts for as long as the block runs. Close Redis after it."""
    task = asyncio.create_task(Sharing(counts, redis).run())
    try:
        yield
    finally:
        while not task.done():  # the Redis client may drop a cancellation that comes together with an answer
            task.cancel()
            await asyncio.wait([task], timeout=0.1)
        with suppress(asyncio.CancelledError):
            task.result()
