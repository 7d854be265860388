"""Alerts of a running stack, as a real Prometheus sees them: what drills in `tests/system` and `tests/deep` share."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra.demo.actors import SimulatedBank
from infra.local import postgres
from infra.local.layout import CHECKOUT
from infra.local.secrets import read_secrets
from tests.support.alert_drills import DRILLS
from tests.support.console import commands, run
from tests.support.deadlines import ENOUGH_SECONDS, patience
from tests.support.observed_stack import observed_stack
from tests.support.prometheus import RUNBOOKS, Alert, alerts, program, prometheus_of
from tests.support.scraped_world import World, withdraw
from tests.support.waiting import eventually

ALERTS = {alert.name: alert for alert in alerts()}
OF_A_SLOW_MACHINE = {"LedgerSlow", "BankSlow", "TasksStopped", "RequestsFail", "HashQueueLong", "WithdrawalsWait"}
"""They may be right where the machine that runs the tests is far too slow."""
LOOKS_BACK_MINUTES = 5
"""So long do the alerts of a slow machine look back: one call that such a machine held up counts until then."""
_PORT = re.compile(r"127\.0\.0\.1:80(\d\d)")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, free_port_base: Callable[[], int]) -> Iterator[World]:
    """A stack that Prometheus scrapes every second, with a bit of everything behind it."""
    program("prometheus")
    directory = tmp_path_factory.mktemp("alerts")
    stack = observed_stack(tmp_path_factory, free_port_base)
    with prometheus_of(stack, directory, stack.layout.port_base + 90) as prometheus:
        api_key = read_secrets(stack.layout.secrets_file)["BATUA_BANK_HDFC_API_KEY"]
        bank = SimulatedBank(f"{stack.url('dummy_bank')}/hdfc", api_key)
        made = World(stack, prometheus, bank, directory, free_port_base)
        withdraw(made.person())
        yield made
        made.close()
        bank.close()


def fires(world: World, alert: Alert, in_seconds: float = 0) -> bool:
    """Whether it does on what was scraped by now."""
    return bool(world.prometheus.ask(alert.expression, in_seconds=in_seconds))


def drill(world: World, name: str) -> None:
    """Make the condition of an alert true: it fires, and the commands of its runbook show the cause."""
    alert, exercise = ALERTS[name], DRILLS[name]
    eventually(lambda: not fires(world, alert), f"{name} is silent before", seconds=_until_silent_seconds(name))
    with exercise.condition(world):
        eventually(lambda: fires(world, alert, exercise.in_seconds), f"{name} fires", seconds=60)
        printed = follow(world, alert.runbook)
    assert exercise.cause in printed, printed


def _until_silent_seconds(name: str) -> float:
    return LOOKS_BACK_MINUTES * 60 + ENOUGH_SECONDS if name in OF_A_SLOW_MACHINE else ENOUGH_SECONDS


def follow(world: World, runbook: Path) -> str:
    """Run the commands of the runbook, as the overview of all says to begin; returns what they printed."""
    base = world.stack.layout.port_base
    texts = [(RUNBOOKS / "README.md").read_text(encoding="utf-8"), runbook.read_text(encoding="utf-8")]
    here = [_PORT.sub(lambda port: f"127.0.0.1:{base + int(port[1])}", text) for text in texts]
    own = {"BATUA_HOME": str(world.stack.layout.home), "BATUA_PORT_BASE": str(base)}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BATUA_")} | own
    environment["PATH"] = os.pathsep.join([os.environ["PATH"], str(postgres.program("psql").parent)])
    environment |= {"COLUMNS": "200", "PAGER": "cat"}
    begin, look = (commands(text) for text in here)
    ran = run(begin + look, shell="bash", folder=folder(world), environment=environment, seconds=patience(90))
    return "\n".join(f"$ {command.text}\n{output}" for command, output in ran[len(begin) :])


def folder(world: World) -> Path:
    """Looks like the checkout in which `make up` runs."""
    made = world.directory / "checkout"
    if not made.exists():
        (made / ".venv").mkdir(parents=True)
        (made / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
        (made / "var").symlink_to(world.stack.layout.home)
    assert (CHECKOUT / "infra").exists()
    return made
