"""What the worker and the scheduler need to know."""

from __future__ import annotations

from shared.banks.settings import BankSettings
from shared.config import (
    DatabaseSettings,
    MailSettings,
    OnRampSettings,
    RedisSettings,
    WithdrawalSettings,
)


class WorkerSettings(DatabaseSettings, RedisSettings, BankSettings, WithdrawalSettings, OnRampSettings, MailSettings):
    """Read from `BATUA_*`."""
