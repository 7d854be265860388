"""How long a withdrawal waits before the next attempt."""

from __future__ import annotations

from shared.config import WithdrawalTimings

MAX_DOUBLINGS = 32


def delay_seconds(timings: WithdrawalTimings, retries: int, jitter: float) -> float:
    """Exponential with full jitter: up to base * 2^retries, at most the cap. `jitter` is in [0, 1)."""
    doublings = min(retries, MAX_DOUBLINGS)
    return jitter * float(min(timings.retry_cap_seconds, timings.retry_base_seconds * 2**doublings))
