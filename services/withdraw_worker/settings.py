"""What the worker and the scheduler need to know."""

from __future__ import annotations

from shared.config import (
    BankSettings,
    DatabaseSettings,
    MailSettings,
    OnRampSettings,
    RedisSettings,
    WithdrawalSettings,
)


class WorkerSettings(DatabaseSettings, RedisSettings, BankSettings, WithdrawalSettings, OnRampSettings, MailSettings):
    """Read from `BATUA_*`."""
