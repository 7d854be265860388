"""The scheduler's table: every request goes stale, and every task it names exists."""

from __future__ import annotations

from datetime import timedelta

from celery.schedules import crontab

from services.withdraw_worker.resources import open_resources
from services.withdraw_worker.schedule import beat_schedule
from services.withdraw_worker.scheduler import RegularTask
from services.withdraw_worker.settings import WorkerSettings
from services.withdraw_worker.tasks import register
from shared import clock
from shared.banks.table import BANKS
from shared.tasks.application import create_celery
from shared.tasks.runner import Runner
from tests.support.bank_settings import bank_values
from tests.support.number_keys import NUMBER_KEY

NOWHERE = "redis://127.0.0.1:1/0"
SETTINGS = WorkerSettings(
    database_url="postgresql://no_role@127.0.0.1:1/none",
    redis_url=NOWHERE,
    **bank_values(),
    account_number_keys=[NUMBER_KEY],
    user_app_url="http://127.0.0.1:1",
    smtp_host="127.0.0.1",
    smtp_port=25,
)


def test_a_request_is_stale_before_a_handful_of_newer_ones_are_there() -> None:
    for name, entry in beat_schedule(SETTINGS).items():
        expires = entry["options"]["expires"]
        if not isinstance(entry["schedule"], crontab):
            assert expires <= max(entry["schedule"], 5), name


def test_a_request_goes_stale_a_period_after_it_was_due_however_late_it_is_sent() -> None:
    mail = beat_schedule(SETTINGS)["mail"]
    task = RegularTask("mail", mail["task"], crontab(), mail["options"])
    due = clock.now() - timedelta(seconds=2)
    assert task.options_at(due) == {"expires": due + timedelta(seconds=5)}


def test_everything_on_the_schedule_is_registered_with_the_worker() -> None:
    celery = create_celery(NOWHERE, "test")
    register(celery, Runner(lambda: open_resources(SETTINGS)))
    assert {entry["task"] for entry in beat_schedule(SETTINGS).values()} <= set(celery.tasks)
    assert "batua.withdrawals.advance" in celery.tasks


async def test_resources_open_without_a_connection_and_close() -> None:
    async with open_resources(SETTINGS) as resources:
        assert set(resources.on_ramp_clients) == set(BANKS)
