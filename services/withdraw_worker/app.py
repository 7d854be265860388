"""`celery -A services.withdraw_worker.app:celery_app worker` (or `beat`)."""

from __future__ import annotations

import shared.lean_start.worker  # noqa: F401 - before anything else loads the libraries

# isort: split
import gc
import logging
from contextlib import ExitStack
from threading import Event
from typing import Any

from celery import signals

from services.withdraw_worker.metrics import begin_counting_tasks, count_scheduled
from services.withdraw_worker.pulse import carry_out
from services.withdraw_worker.resources import WorkerResources, open_resources
from services.withdraw_worker.schedule import beat_schedule
from services.withdraw_worker.settings import WorkerSettings
from services.withdraw_worker.tasks import register
from shared.config import read_settings
from shared.runtime.heartbeat import Heartbeat
from shared.runtime.logs import configure_logging
from shared.runtime.metrics_server import serve_metrics
from shared.tasks.application import create_celery
from shared.tasks.resident import resident
from shared.tasks.runner import STOP_TIMEOUT_SECONDS, Runner

_settings = read_settings(WorkerSettings)
_runner = Runner(lambda: open_resources(_settings))
_stopping = Event()
_at_the_end = ExitStack()
_heart = Heartbeat(_settings.heartbeat_file)

celery_app = create_celery(_settings.broker_address, "batua")
celery_app.conf.beat_schedule = beat_schedule(_settings)
celery_app.conf.beat_scheduler = "services.withdraw_worker.scheduler:LeasedScheduler"
register(celery_app, _runner)


async def _wake(resources: WorkerResources) -> None:
    resources.dispatcher.wake()


# A lease outlives a call to a bank, and so the calls under way when the worker is told to stop.
celery_app.steps["worker"].add(
    resident(
        begin=lambda: _runner.begin(lambda resources: carry_out(resources, _heart, _stopping.is_set)),
        tell_to_end=lambda: _runner.begin(_wake).result(STOP_TIMEOUT_SECONDS),  # not a run, whose time may be over
        end_seconds=_settings.withdrawals.lease_seconds,
    )
)


@signals.setup_logging.connect
def _log_as_json(**_: Any) -> None:
    """A receiver of this signal keeps Celery from setting up its own logging."""
    configure_logging(_settings.log_level)
    # The flows log what each hint and call led to, so these need no line for each of them.
    for chatty in ("celery.worker.strategy", "celery.app.trace", "celery.beat", "httpx"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


@signals.worker_init.connect  # before it looks for the broker, whose absence the metrics tell
def _show_metrics(**_: Any) -> None:
    begin_counting_tasks()
    _at_the_end.callback(serve_metrics(_settings))


@signals.beat_init.connect
def _show_what_is_scheduled(**_: Any) -> None:
    serve_metrics(_settings)  # until the process ends
    signals.after_task_publish.connect(_count_scheduled)


def _count_scheduled(sender: str, **_: Any) -> None:
    count_scheduled(sender)


@signals.worker_shutting_down.connect
def _stop_beginning(**_: Any) -> None:
    _stopping.set()
    _runner.end_within(max(_settings.withdrawals.bank_timeout_seconds, _settings.on_ramps.bank_timeout_seconds))


@signals.worker_shutdown.connect
def _close(**_: Any) -> None:
    _at_the_end.close()
    _runner.close()


gc.enable()  # all is imported; shared.lean_start.worker turned it off
