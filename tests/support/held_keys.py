"""Hold up a request when it has locked its idempotency key, and before it does anything else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from shared.idempotency import store


class HeldKey:
    """The first request that locks a key waits for `go_on`, its transaction open. Later ones do not wait."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_locked = asyncio.Event()
        self.go_on = asyncio.Event()
        for name in ("claim_one", "look_up"):
            monkeypatch.setattr(store, name, self._holding(getattr(store, name)))

    def _holding(self, lock: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def lock_and_wait(*arguments: Any) -> Any:
            result = await lock(*arguments)
            if not self.is_locked.is_set():
                self.is_locked.set()
                await self.go_on.wait()
            return result

        return lock_and_wait
