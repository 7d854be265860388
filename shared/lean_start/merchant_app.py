"""For merchant_app."""

from __future__ import annotations

from shared.lean_start import load, without_old_pydantic

without_old_pydantic()
load("jwt", "redis.asyncio", "kombu.serialization")
