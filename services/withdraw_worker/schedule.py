"""Which tasks the scheduler sends, and how often. A message expires before the next of its kind is due, so that a
worker that was away finds a few of them and not those of a day.
"""

from __future__ import annotations

from typing import Any

from celery.schedules import crontab

from services.withdraw_worker.settings import WorkerSettings
from shared.tasks import names

OUTBOX_SECONDS = 3.0
ROLL_UP_SECONDS = 10.0
PROOF_LOOK_SECONDS = 30.0
"""How often the worker looks whether a run of the proof is due."""
HOUR_SECONDS = 3600.0
SHORTEST_EXPIRY_SECONDS = 5.0


def beat_schedule(settings: WorkerSettings) -> dict[str, Any]:
    """Celery beat's table. Daily work runs at night in India; the hours here are UTC."""
    on_ramp_seconds = min(settings.on_ramps.enquire_after_seconds / 4, 60.0)
    return {
        "enquire": _every(names.ENQUIRE_ON_RAMPS, on_ramp_seconds),
        "mail": _every(names.DELIVER_OUTBOX, OUTBOX_SECONDS),
        "roll up": _every(names.ROLL_UP_INFLOW, ROLL_UP_SECONDS),
        "purge keys": _every(names.PURGE_IDEMPOTENCY, HOUR_SECONDS),
        "purge mail": _every(names.PURGE_OUTBOX, HOUR_SECONDS),
        "purge tokens": _every(names.PURGE_TOKENS, HOUR_SECONDS),
        "purge audit": _every(names.PURGE_AUDIT, HOUR_SECONDS),
        "purge proofs": _every(names.PURGE_PROOFS, HOUR_SECONDS),
        "purge inbox": _daily(names.PURGE_INBOX, hour=20, minute=0),
        "prove new": _every(names.PROVE_NEW, PROOF_LOOK_SECONDS),
        "prove all": _every(names.PROVE_ALL, PROOF_LOOK_SECONDS),
        "seal": _daily(names.SEAL_LEDGER, hour=20, minute=30),
        "reconcile": _daily(names.RECONCILE, hour=21, minute=0),
    }


def _every(task: str, seconds: float) -> dict[str, Any]:
    return {"task": task, "schedule": seconds, "options": {"expires": max(seconds, SHORTEST_EXPIRY_SECONDS)}}


def _daily(task: str, *, hour: int, minute: int) -> dict[str, Any]:
    return {"task": task, "schedule": crontab(hour=hour, minute=minute), "options": {"expires": 6 * HOUR_SECONDS}}
