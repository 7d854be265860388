"""How long to wait before trying again."""

from __future__ import annotations

from shared.config import WithdrawalTimings

_MAX_DOUBLINGS = 32


def delay_seconds(timings: WithdrawalTimings, retries: int, jitter: float) -> float:
    """Exponential with full jitter: anywhere up to base * 2^retries, at most the cap. `jitter` in [0, 1)."""
    doublings = min(retries, _MAX_DOUBLINGS)
    return jitter * float(min(timings.retry_cap_seconds, timings.retry_base_seconds * 2**doublings))
