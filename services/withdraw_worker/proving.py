"""Run the proof when it is due, and tell the operator when it fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.db.engine import SessionMaker
from shared.db.outages import is_outage
from shared.models import ProofRun
from shared.outbox import messages
from shared.outbox.settings import MailSettings
from shared.proof import runs
from shared.proof.prove import CheckResult, prove
from shared.proof.quick import REST_SHARE, prove_new

QUICK_EVERY = timedelta(minutes=2)
"""From the end of a quick run to the beginning of the next."""
WHOLE_HOUR = 21
WHOLE_MINUTE = 30
"""When the whole run begins (UTC): at night in India, after the seal and the comparison with the banks."""
WHOLE_MAY_BEGIN_FOR = timedelta(hours=6)
"""A worker that was away begins it so much later at most."""
WHOLE_SECONDS = 3 * 3600.0
"""A whole run that takes longer is given up: vacuum removes nothing while its snapshot is open."""
WHOLE_TRIES = 3
"""Runs of one night that did not finish, and no more."""

_logger = logging.getLogger(__name__)


async def prove_new_if_due(sessionmaker: SessionMaker, settings: MailSettings) -> None:
    """Make a quick run if the last one is old enough, then tell how the books stand."""
    async with runs.alone(sessionmaker, "quick") as is_alone:
        if is_alone and await _is_quick_due(sessionmaker):
            await _prove_new(sessionmaker)
        await _tell(sessionmaker, settings, may_alert=is_alone)


async def prove_all_if_due(sessionmaker: SessionMaker) -> None:
    """Make the night's whole run, if none has finished since it was due. Raises nothing: its caller does not wait."""
    try:
        async with asyncio.timeout(WHOLE_SECONDS), runs.alone(sessionmaker, "whole") as is_alone:
            if is_alone and await _is_whole_due(sessionmaker):
                await _prove_all(sessionmaker)
    except Exception as error:
        if is_outage(error):
            _logger.warning("the whole proof did not finish: the database is away (%s)", type(error).__name__)
        else:
            _logger.exception("the whole proof did not finish: it counts neither as passed nor as failed")


def is_night() -> bool:
    """Whether it is late enough for the whole run, and not too late."""
    return clock.now() - _whole_due_at() < WHOLE_MAY_BEGIN_FOR


def _whole_due_at() -> datetime:
    now = clock.now()
    today = now.replace(hour=WHOLE_HOUR, minute=WHOLE_MINUTE, second=0, microsecond=0)
    return today if today <= now else today - timedelta(days=1)


async def _is_quick_due(sessionmaker: SessionMaker) -> bool:
    async with sessionmaker() as session:
        last = (await runs.state(session)).quick_finished_at
    return last is None or clock.now() - last >= QUICK_EVERY


async def _is_whole_due(sessionmaker: SessionMaker) -> bool:
    due_at = _whole_due_at()
    async with sessionmaker() as session:
        last = (await runs.state(session)).whole_finished_at
        return (last is None or last < due_at) and await runs.begun_since(session, due_at) < WHOLE_TRIES


async def _prove_new(sessionmaker: SessionMaker) -> None:
    async with sessionmaker() as session:
        beginning = await runs.beginning(session)
    run = await runs.begin(sessionmaker, "quick")
    report = await prove_new(sessionmaker, beginning)
    await runs.finish_quick(sessionmaker, run, report)
    _log("quick", report.proof.failed, report.proof.rows["transfers"], report.proof.seconds)


async def _prove_all(sessionmaker: SessionMaker) -> None:
    run = await runs.begin(sessionmaker, "whole")
    report = await prove(sessionmaker, rest_share=REST_SHARE)
    await runs.finish_whole(sessionmaker, run, report)
    _log("whole", report.failed, report.rows["transfers"], report.seconds)


def _log(kind: str, failed: Sequence[CheckResult], transfers: int, seconds: float) -> None:
    if not failed:
        _logger.info("the %s proof holds: %d transfers, %.1f s", kind, transfers, seconds)
        return
    for check in failed:
        row = {name: str(value) for name, value in check.offenders[0].items() if name.endswith(("_id", "seq"))}
        _logger.error("the %s proof failed: %s; the first row: %s", kind, check.name, row)


async def _tell(sessionmaker: SessionMaker, settings: MailSettings, *, may_alert: bool) -> None:
    """While a failure stands, say so, and send one mail of what is new in it."""
    async with sessionmaker.begin() as session:
        state = await runs.state(session)
        if state.standing:
            _logger.error("no payout leaves: the proof failed at %s", state.standing[0].started_at.isoformat())
        untold = [failure for failure in state.standing if failure.alerted_at is None]
        if untold and may_alert and settings.operator_email is not None:
            await _alert(session, untold)


async def _alert(session: AsyncSession, failures: Sequence[ProofRun]) -> None:
    rules = list(dict.fromkeys(rule for failure in failures for rule in runs.rules_of(failure)))
    facts = {"started_at": f"{failures[0].started_at:%Y-%m-%d %H:%M}", "rules": rules}
    await messages.write(session, [messages.Message("proof_failed", messages.OPERATOR_ID, facts)])
    for failure in failures:
        failure.alerted_at = clock.now()
