"""A whole stack for those who watch one: it measures every second, and records every trace."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from infra.local.stack import Stack
from tests.support.collector import Collector, collecting
from tests.support.deadlines import deadline
from tests.support.shared_stacks import shared, shared_stack
from tests.support.whole_stack import FAST

SETTINGS = FAST | {
    "BATUA_MEASURE_SECONDS": "1",
    "BATUA_MEASURE_BALANCES_SECONDS": "1",
    "BATUA_BCRYPT_ROUNDS": "8",
    "BATUA_DATABASE_POOL_SIZE": "4",
    "BATUA_WITHDRAWALS__BANK_TIMEOUT_SECONDS": f"{deadline(4):.2f}",
    "BATUA_WITHDRAWALS__LEASE_SECONDS": f"{deadline(8):.2f}",
    "BATUA_TRACES_RATIO": "1",
    "OTEL_BSP_SCHEDULE_DELAY": "200",  # milliseconds until spans are sent
}


def collector() -> Collector:
    """Where all processes of the stack send their spans."""
    return shared("collector", collecting)


def observed_stack(directories: pytest.TempPathFactory, free_port_base: Callable[[], int]) -> Stack:
    """The stack, which runs."""
    settings = SETTINGS | {"BATUA_TRACES_URL": collector().url}
    return shared_stack("observed", settings, directories, free_port_base)
