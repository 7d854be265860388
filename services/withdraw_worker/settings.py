"""What the worker and the scheduler need to know."""

from __future__ import annotations

from pydantic import Field

from shared.banks.number_keys import AccountNumberSettings
from shared.banks.settings import BankSettings
from shared.config import (
    DatabaseSettings,
    OnRampSettings,
    WithdrawalSettings,
)
from shared.outbox.settings import MailSettings
from shared.redis.settings import RedisSettings
from shared.runtime.heartbeat import HeartbeatSettings
from shared.runtime.metrics_server import MetricsSettings
from shared.runtime.tracing import TracingSettings


class WorkerSettings(
    MetricsSettings,
    HeartbeatSettings,
    TracingSettings,
    DatabaseSettings,
    RedisSettings,
    BankSettings,
    AccountNumberSettings,
    WithdrawalSettings,
    OnRampSettings,
    MailSettings,
):
    """Which scheduler sends regular tasks: the one that holds the lease; how often the worker looks for its metrics."""

    scheduler_lease_seconds: float = Field(default=15, ge=1)
    """How long the lease lasts unless its holder prolongs it: so much later another takes the place of a dead one."""
    measure_seconds: float = Field(default=15.0, gt=0)
    """Between two looks, for the metrics, at the queue, the banks, the proofs, mail, Postgres and Redis."""
    measure_balances_seconds: float = Field(default=60.0, gt=0)
    """Between two sums of all balances, at least. They take a fiftieth of one core of Postgres at most."""
