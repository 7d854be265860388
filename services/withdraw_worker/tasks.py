"""The worker's tasks: each takes its message, runs one function of a flow, and says what it did."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from threading import Event
from typing import Any
from uuid import UUID

from celery import Celery

from services.withdraw_worker import housekeeping
from services.withdraw_worker.resources import WorkerResources
from services.withdraw_worker.settings import WorkerSettings
from shared import clock
from shared.db.outages import is_outage
from shared.inflow.commands import roll_up_all
from shared.on_ramps.enquiry import enquire_due
from shared.outbox.delivery import deliver_due
from shared.tasks import names
from shared.tasks.hints import Hints
from shared.tasks.runner import Runner

_logger = logging.getLogger(__name__)

TASK_SECONDS = 120.0
"""More than any run takes; short enough for a stuck one to end long before its message is handed out again."""
LONG_TASK_SECONDS = 540.0
HINTED_AT_ONCE = 500


Task = Callable[..., None]


def register(
    celery: Celery, runner: Runner[WorkerResources], settings: WorkerSettings, hints: Hints, stopping: Event
) -> None:
    """Bind every task to the application. Arguments are ids, never money. `stopping`: begin nothing long any more."""
    for name, task in {**_withdrawals(runner, settings, hints, stopping), **_everything_else(runner)}.items():
        celery.task(name=name)(_patient(name, task))


def _patient(name: str, task: Task) -> Task:
    """The task, which takes a database that is away for no error: the schedule says everything again."""

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
        advanced = runner.run(
            lambda use: use.payouts.advance(owner, is_stopping=stopping.is_set), timeout_seconds=TASK_SECONDS
        )
        if advanced.again_at is None:
            return
        # Only a run that did something asks to be run again, so copies of a hint die out by themselves.
        delay_seconds = max(0.0, (advanced.again_at - clock.now()).total_seconds())
        if delay_seconds < settings.withdrawals.sweep_seconds:
            hints.send(owner, delay_seconds=delay_seconds)

    def sweep() -> None:
        owners = runner.run(lambda use: use.payouts.owners_due(HINTED_AT_ONCE), timeout_seconds=TASK_SECONDS)
        for owner in owners:
            # The next sweep says it again, so an older hint need not outlive it: the queue stays bounded.
            if not hints.send(owner, expires_seconds=settings.withdrawals.sweep_seconds):
                break
        if owners:
            _logger.info("sweep: %d owners have something due", len(owners))

    return {names.ADVANCE_WITHDRAWALS: advance, names.SWEEP_WITHDRAWALS: sweep}


def _everything_else(runner: Runner[WorkerResources]) -> dict[str, Task]:
    def of(work: Callable[[WorkerResources], Coroutine[Any, Any, object]]) -> Task:
        def run() -> None:
            runner.run(work, timeout_seconds=LONG_TASK_SECONDS)

        return run

    return {
        names.ENQUIRE_ON_RAMPS: of(
            lambda use: enquire_due(use.sessionmaker, clients=use.on_ramp_clients, settings=use.settings)
        ),
        names.DELIVER_OUTBOX: of(lambda use: deliver_due(use.sessionmaker, use.settings)),
        names.ROLL_UP_INFLOW: of(lambda use: roll_up_all(use.sessionmaker)),
        names.PURGE_IDEMPOTENCY: of(lambda use: housekeeping.purge_keys(use.sessionmaker)),
        names.PURGE_TOKENS: of(lambda use: housekeeping.purge_tokens(use.sessionmaker)),
        names.SEAL_LEDGER: of(lambda use: housekeeping.seal_all(use.sessionmaker)),
        names.RECONCILE: of(lambda use: housekeeping.reconcile_all(use.sessionmaker, use.on_ramp_clients)),
    }
