"""Liveness, readiness and metrics."""

from __future__ import annotations

import sqlite3

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from services.dummy_bank.dependencies import SimulatorDep
from services.dummy_bank.errors import BankError
from services.dummy_bank.problems import responses

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def get_health() -> dict[str, str]:
    """The process is up."""
    return {"status": "ok"}


@router.get("/readyz", responses=responses(503))
async def get_readiness(simulator: SimulatorDep) -> dict[str, object]:
    """The simulator's file can be read."""
    try:
        simulator.database.rows("SELECT 1")
    except sqlite3.Error as error:
        raise BankError(503, "NOT_READY", "The simulator's own file cannot be read.") from error
    return {"status": "ok", "checks": {"database": "ok"}}


@router.get("/metrics", response_class=Response)
async def get_metrics(simulator: SimulatorDep) -> Response:
    """Counters for Prometheus."""
    return Response(generate_latest(simulator.metrics.registry), media_type=CONTENT_TYPE_LATEST)
