"""Each alert fires on what a real Prometheus scrapes from a running stack, and its runbook leads to the cause.

Those that take long are in `tests/deep/test_alerts.py`.
"""

from __future__ import annotations

import pytest

from tests.support.alert_checks import ALERTS, OF_A_SLOW_MACHINE, drill, fires, world  # noqa: F401 - a fixture
from tests.support.alert_drills import DRILLS
from tests.support.scraped_world import World
from tests.support.waiting import eventually

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("observed")]

SHORT = [name for name, each in DRILLS.items() if not each.is_long]


def test_there_is_a_drill_for_each_alert() -> None:
    assert DRILLS.keys() == ALERTS.keys()


def test_a_healthy_stack_is_silent(world: World) -> None:  # noqa: F811
    world.scraped("batua_balances_sum_paise")
    world.scraped('batua_bank_call_seconds_count{call="pay"} > 0')
    about_the_books = set(ALERTS) - OF_A_SLOW_MACHINE
    eventually(lambda: not any(fires(world, ALERTS[name]) for name in about_the_books), "no alert fires", seconds=60)


@pytest.mark.timeout(600)  # what made an alert fire before its drill may count for minutes
@pytest.mark.parametrize("name", SHORT)
def test_the_alert_fires_and_its_runbook_leads_to_the_cause(world: World, name: str) -> None:  # noqa: F811
    drill(world, name)
