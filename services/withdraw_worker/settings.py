"""What the worker and the scheduler need to know."""

from __future__ import annotations

from pydantic import Field

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

    worker_metrics_port: int | None = Field(default=None, ge=1, le=65535)
    """Port on which withdraw_worker serves `/metrics`. Not set: it serves none."""
    worker_metrics_host: str = "127.0.0.1"
    """Address on which it does: everyone who can reach it may read how much is going on."""
