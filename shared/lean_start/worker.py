"""For the worker and the scheduler."""

from __future__ import annotations

from shared.lean_start import load

load("redis.asyncio", "httpx")
