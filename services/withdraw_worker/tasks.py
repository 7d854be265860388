"""The worker's tasks. Each runs one function of a flow on the runner's loop; a hint wakes the dispatcher of payouts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import Any

from celery import Celery, current_task
from celery.exceptions import Reject

from services.withdraw_worker import housekeeping, proving
from services.withdraw_worker.mail import deliver_mail
from services.withdraw_worker.metrics import timed_task
from services.withdraw_worker.resources import WorkerResources
from shared import spans
from shared.db.outages import is_outage
from shared.inflow.commands import roll_up_all
from shared.on_ramps.enquiry import enquire_due
from shared.tasks import names
from shared.tasks.names import TRACEPARENT
from shared.tasks.runner import IsStopping, Runner

_logger = logging.getLogger(__name__)

TASK_SECONDS = 120.0
"""More than any run takes, and so short that a stuck task ends long before its message is delivered again."""
LONG_TASK_SECONDS = 540.0


Task = Callable[..., None]


def register(celery: Celery, runner: Runner[WorkerResources]) -> None:
    """Bind every task to the application. Arguments are ids, never money."""
    for name, task in {names.ADVANCE_WITHDRAWALS: _hinted(runner), **_scheduled(runner)}.items():
        celery.task(name=name)(_handed_on(_without_outages(name, task)))


def _handed_on(task: Task) -> Task:
    """The task, whose message another worker gets when this one stops before its end."""

    def run(*arguments: str) -> None:
        try:
            task(*arguments)
        except IsStopping as error:
            raise Reject("the worker is stopping", requeue=True) from error

    return run


def _without_outages(name: str, task: Task) -> Task:
    """The task, for which a database that is away is no error: the schedule sends it again."""

    def run(*arguments: str) -> None:
        with timed_task(name) as ended, spans.go_on(_traceparent(), f"task {name}"):
            try:
                task(*arguments)
                ended.outcome = "done"
            except Exception as error:
                if not is_outage(error):
                    raise
                ended.outcome = "database_away"
                _logger.warning("%s: the database is away (%s)", name, type(error).__name__)

    return run


def _traceparent() -> str | None:
    """The trace that the message at work names."""
    given = current_task.request.get(TRACEPARENT) if spans.are_on() and current_task else None
    return given if isinstance(given, str) else None


def _hinted(runner: Runner[WorkerResources]) -> Task:
    async def wake(resources: WorkerResources) -> None:
        resources.dispatcher.wake()

    def run(_owner_id: str) -> None:
        runner.run(wake, timeout_seconds=TASK_SECONDS)

    return run


def _whole_proof(runner: Runner[WorkerResources]) -> Task:
    """It may take far longer than a message may be held, so the task only begins it. A look at the clock is cheap."""

    def run() -> None:
        if proving.is_night():
            runner.begin(lambda resources: proving.prove_all_if_due(resources.sessionmaker))

    return run


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
        names.PURGE_OUTBOX: of(lambda resources: housekeeping.purge_mail(resources.sessionmaker)),
        names.PURGE_INBOX: of(lambda resources: housekeeping.purge_inbox(resources.sessionmaker)),
        names.PURGE_TOKENS: of(lambda resources: housekeeping.purge_tokens(resources.sessionmaker)),
        names.PURGE_AUDIT: of(lambda resources: housekeeping.purge_audit(resources.sessionmaker)),
        names.PURGE_PROOFS: of(lambda resources: housekeeping.purge_proofs(resources.sessionmaker)),
        names.PROVE_NEW: of(lambda resources: proving.prove_new_if_due(resources.sessionmaker, resources.settings)),
        names.PROVE_ALL: _whole_proof(runner),
        names.SEAL_LEDGER: of(lambda resources: housekeeping.seal_all(resources.sessionmaker)),
        names.RECONCILE: of(
            lambda resources: housekeeping.reconcile_all(resources.sessionmaker, resources.on_ramp_clients)
        ),
    }
