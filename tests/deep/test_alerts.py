"""The drills of alerts that stop servers, copy the database, or send hundreds of requests; the others are in system."""

from __future__ import annotations

import pytest

from tests.support.alert_checks import drill, world  # noqa: F401 - a fixture
from tests.support.alert_drills import DRILLS
from tests.support.scraped_world import World

pytestmark = pytest.mark.timeout(600)

LONG = [name for name, each in DRILLS.items() if each.is_long]


@pytest.mark.parametrize("name", LONG)
def test_the_alert_fires_and_its_runbook_leads_to_the_cause(world: World, name: str) -> None:  # noqa: F811
    drill(world, name)
