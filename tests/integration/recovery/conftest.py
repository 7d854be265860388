"""The engine of the withdrawals' tests on a database and a bank with an empty book: a recovery looks at all of both."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.dummy_bank.settings import BankSimulatorSettings
from tests.integration.withdrawals.conftest import timings, world, world_alone  # noqa: F401 - fixtures
from tests.support.bank_settings import simulator_values
from tests.support.simulated_bank import KEYS, WEBHOOK_SECRET, Running, run_app


@pytest.fixture
def running_bank(tmp_path: Path) -> Iterator[Running]:
    """Its notices reach no one."""
    running = run_app(
        BankSimulatorSettings(
            database=tmp_path / "bank.sqlite",
            public_url="http://bank.test",
            **simulator_values(dict.fromkeys(KEYS, WEBHOOK_SECRET), keys=KEYS),
        )
    )
    yield running
    running.stop()
