"""Hold up a request when it has locked its idempotency key, or a batch that has locked its accounts too."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from shared.idempotency import store
from shared.ledger import sql


class HeldKey:
    """The first request that locks a key waits for `go_on`, its transaction open. Later ones do not wait."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.is_locked = asyncio.Event()
        self.go_on = asyncio.Event()
        for module, name in ((store, "claim_one"), (sql, "look_up_and_lock")):
            monkeypatch.setattr(module, name, self._holding(getattr(module, name)))

    def _holding(self, lock: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def lock_and_wait(*arguments: Any) -> Any:
            result = await lock(*arguments)
            if not self.is_locked.is_set():
                self.is_locked.set()
                await self.go_on.wait()
            return result

        return lock_and_wait
