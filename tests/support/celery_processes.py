"""The worker and the scheduler as processes, with settings of a test's own."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from services.withdraw_worker.settings import WorkerSettings
from shared.config import WithdrawalTimings
from tests.support.bank_settings import bank_values
from tests.support.deadlines import deadline
from tests.support.number_keys import NUMBER_KEY
from tests.support.processes import CHECKOUT, as_environment

_CELERY = [sys.executable, "-m", "celery", "-A", "services.withdraw_worker.app:celery_app"]
WORKER = [
    *_CELERY,
    *("worker", "--pool", "threads", "--concurrency", "2"),
    *("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "INFO"),
]


def scheduler_command(heartbeat: Path) -> list[str]:
    """The command line of a scheduler that touches this file."""
    return [*_CELERY, "beat", "--schedule", str(heartbeat), "--pidfile=", "--loglevel", "INFO"]


def worker_environment(database_url: str, redis_url: str, bank_url: str, **more: Any) -> Mapping[str, str]:
    """The environment of both. Payouts are looked for twice a second; mail goes nowhere."""
    timings = WithdrawalTimings(
        bank_timeout_seconds=deadline(5), lease_seconds=deadline(20), retry_base_seconds=0.1, sweep_seconds=0.5
    )
    settings = WorkerSettings(
        database_url=database_url,
        redis_url=redis_url,
        **bank_values(bank_url),
        account_number_keys=[NUMBER_KEY],
        user_app_url="http://127.0.0.1:1",
        smtp_host="127.0.0.1",
        smtp_port=1,
        **{"withdrawals": timings, **more},
    )
    return os.environ | {"PYTHONPATH": str(CHECKOUT)} | as_environment(settings)
