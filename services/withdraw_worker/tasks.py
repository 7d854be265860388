"""The worker's tasks. Each runs one function of a flow on the runner's loop."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from threading import Event
from typing import Any
from uuid import UUID

from celery import Celery

from services.withdraw_worker import housekeeping
from services.withdraw_worker.mail import deliver_mail
from services.withdraw_worker.resources import WorkerResources
from services.withdraw_worker.settings import WorkerSettings
from shared import clock
from shared.db.outages import is_outage
from shared.inflow.commands import roll_up_all
from shared.on_ramps.enquiry import enquire_due
from shared.tasks import names
from shared.tasks.hints import Hints
from shared.tasks.runner import Runner

_logger = logging.getLogger(__name__)

TASK_SECONDS = 120.0
"""More than any run takes, and so short that a stuck task ends long before its message is delivered again."""
LONG_TASK_SECONDS = 540.0
HINTED_AT_ONCE = 500


Task = Callable[..., None]


def register(
    celery: Celery, runner: Runner[WorkerResources], settings: WorkerSettings, hints: Hints, stopping: Event
) -> None:
    """Bind every task to the application. Arguments are ids, never money. No call begins once `stopping` is set."""
    for name, task in {**_withdrawals(runner, settings, hints, stopping), **_scheduled(runner)}.items():
        celery.task(name=name)(_without_outages(name, task))


def _without_outages(name: str, task: Task) -> Task:
    """The task, for which a database that is away is no error: the schedule sends it again."""

    def run(*arguments: str) -> None:
        try:
            task(*arguments)
        except Exception as error:
            if not is_outage(error):
                raise
            _logger.warning("%s: the database is away (%s)", name, type(error).__name__)

    return run


def _withdrawals(
    runner: Runner[WorkerResources], settings: WorkerSettings, hints: Hints, stopping: Event
) -> dict[str, Task]:
    def advance(owner_id: str) -> None:
        owner = UUID(owner_id)
        run = runner.run(
            lambda resources: resources.payouts.advance(owner, is_stopping=stopping.is_set),
            timeout_seconds=TASK_SECONDS,
        )
        if run.again_at is None:
            return
        # Only a run that made a call is repeated, so copies of a hint end by themselves.
        delay_seconds = max(0.0, (run.again_at - clock.now()).total_seconds())
        if delay_seconds < settings.withdrawals.sweep_seconds:
            hints.send(owner, delay_seconds=delay_seconds)

    def sweep() -> None:
        owners = runner.run(
            lambda resources: resources.payouts.owners_due(HINTED_AT_ONCE), timeout_seconds=TASK_SECONDS
        )
        for owner in owners:
            # The next sweep sends it again, so the hint expires by then and the queue stays bounded.
            if not hints.send(owner, expires_seconds=settings.withdrawals.sweep_seconds):
                break
        if owners:
            _logger.info("sweep: %d owners have something due", len(owners))

    return {names.ADVANCE_WITHDRAWALS: advance, names.SWEEP_WITHDRAWALS: sweep}


def _scheduled(runner: Runner[WorkerResources]) -> dict[str, Task]:
    def of(work: Callable[[WorkerResources], Coroutine[Any, Any, object]]) -> Task:
        def run() -> None:
            runner.run(work, timeout_seconds=LONG_TASK_SECONDS)

        return run

    return {
        names.ENQUIRE_ON_RAMPS: of(
            lambda resources: enquire_due(
                resources.sessionmaker, clients=resources.on_ramp_clients, settings=resources.settings
            )
        ),
        names.DELIVER_OUTBOX: of(lambda resources: deliver_mail(resources.sessionmaker, resources.settings)),
        names.ROLL_UP_INFLOW: of(lambda resources: roll_up_all(resources.sessionmaker)),
        names.PURGE_IDEMPOTENCY: of(lambda resources: housekeeping.purge_keys(resources.sessionmaker)),
        names.PURGE_TOKENS: of(lambda resources: housekeeping.purge_tokens(resources.sessionmaker)),
        names.SEAL_LEDGER: of(lambda resources: housekeeping.seal_all(resources.sessionmaker)),
        names.RECONCILE: of(
            lambda resources: housekeeping.reconcile_all(resources.sessionmaker, resources.on_ramp_clients)
        ),
    }
