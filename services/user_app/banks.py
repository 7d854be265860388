"""The clients of all banks, open as long as the process runs, and which banks answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated

from fastapi import Depends, Request

from shared.banks.client import BankClient, clients_for, which_are_up
from shared.banks.settings import BankEndpoint
from shared.config import OnRampSettings
from shared.http.dependencies import CurrentResources

FRESH_SECONDS = 2.0


class Banks:
    """A client per bank. The result of a ping is used for FRESH_SECONDS, and one round of pings runs at a time."""

    def __init__(self, clients: Mapping[str, BankClient]) -> None:
        self.clients = clients
        self._lock = asyncio.Lock()
        self._up: dict[str, bool] = {}
        self._asked_at = float("-inf")

    async def up(self) -> dict[str, bool]:
        """Whether each bank answers, by its code. Takes about a second at most."""
        async with self._lock:
            if time.monotonic() - self._asked_at >= FRESH_SECONDS:
                self._up = await which_are_up(self.clients)
                self._asked_at = time.monotonic()
            return self._up


@asynccontextmanager
async def open_banks(banks: Mapping[str, BankEndpoint], timeout_seconds: float) -> AsyncIterator[Banks]:
    """Clients for these banks, closed on exit."""
    clients = clients_for(banks, timeout_seconds)
    async with AsyncExitStack() as stack:
        for client in clients.values():
            stack.push_async_callback(client.aclose)
        yield Banks(clients)


async def current_banks(request: Request) -> Banks:
    """What the lifespan opened."""
    banks: Banks = request.app.state.banks
    return banks


CurrentBanks = Annotated[Banks, Depends(current_banks)]


async def current_on_ramp_settings(resources: CurrentResources) -> OnRampSettings:
    """The timings of on-ramps, and where the bank sends people back to."""
    assert isinstance(resources.settings, OnRampSettings)
    return resources.settings


CurrentOnRampSettings = Annotated[OnRampSettings, Depends(current_on_ramp_settings)]
