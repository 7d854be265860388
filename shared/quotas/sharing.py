"""Tell the other processes through Redis what heavy users did here, and learn what they did there.

No request waits for it. In Redis a key that expires is all there is of an owner's count: it is gone when everything
that was counted is free again. Each process adds what it counted, and raises the key to what it knows, so a count that
was lost in Redis is there again after the next one. While Redis is away each process counts alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from redis.asyncio import Redis

from shared.quotas.counts import SECOND, Counts, Share
from shared.redis.client import REDIS_ERRORS

KEY_PREFIX = "batua:counts:"
SHARE_SECONDS = 1.0
BATCH = 500

_logger = logging.getLogger(__name__)

_MILLISECOND = SECOND // 1000

# For each key: milliseconds added, those until it is empty as far as this process knows, and the most that is believed.
# A key that does not expire, or later than it can, is not ours: it counts as absent. What it holds is never read.
_SHARE_ALL = """
local all = {}
for i = 1, #ARGV, 4 do
    local added, known, most = tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2]), tonumber(ARGV[i + 3])
    local left = redis.call('PTTL', ARGV[i])
    if left < 0 or left > most then left = 0 end
    left = math.min(math.max(left + added, known), most)
    if left > 0 then redis.call('SET', ARGV[i], '', 'PX', left) end
    all[#all + 1] = left
end
return all
"""


class Sharing:
    """Shares the counts of one process. Use `open_sharing`."""

    def __init__(self, counts: Counts, redis: Redis) -> None:
        self._counts = counts
        self._redis = redis

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
            for share, left in zip(shares, await self._all_together(shares), strict=True):
                self._counts.learn(share, int(left) * _MILLISECOND)

    async def _all_together(self, shares: Sequence[Share]) -> Sequence[int]:
        """The milliseconds until each is empty."""
        arguments: list[str | int] = []
        for share in shares:
            quota, owner_id = share.name
            lengths = (round(length / _MILLISECOND) for length in (share.added, share.left, share.most))
            arguments += [f"{KEY_PREFIX}{quota}:{owner_id}", *lengths]
        lefts: Sequence[int] = await self._redis.execute_command("EVAL", _SHARE_ALL, 0, *arguments)  # type: ignore[no-untyped-call]
        return lefts


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
