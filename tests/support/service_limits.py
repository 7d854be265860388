"""What services allow each other on this machine."""

from __future__ import annotations

from tests.support.deadlines import deadline


def service_limits() -> dict[str, str]:
    """Environment variables for services that tests run; a test of a limit sets that limit itself."""
    seconds = {
        "BATUA_DATABASE_POOL_TIMEOUT_SECONDS": 15,
        "BATUA_DATABASE_STATEMENT_TIMEOUT_SECONDS": 15,
        "BATUA_DATABASE_LOCK_TIMEOUT_SECONDS": 15,
        "BATUA_ON_RAMPS__BANK_TIMEOUT_SECONDS": 5,
        "BATUA_REDIS_TIMEOUT_SECONDS": 2,
        "BATUA_WEBHOOK_BODY_SECONDS": 10,
        "BATUA_WEBHOOK_COMMIT_SECONDS": 30,
    }
    limits = {name: f"{deadline(allowed):.2f}" for name, allowed in seconds.items()}
    return limits | {"BATUA_QUOTAS__WITHDRAWALS_PER_TEN_SECONDS": "10000"}
