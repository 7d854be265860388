"""The bank's records and its faults. No fault applies here, so that a test can always look."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import AwareDatetime

from services.dummy_bank import notice_queue, past
from services.dummy_bank.book import NODAL
from services.dummy_bank.call_log import CallLog
from services.dummy_bank.database import Row
from services.dummy_bank.dependencies import KeyedBankDep, SimulatorDep
from services.dummy_bank.errors import BankError
from services.dummy_bank.faults import Faults
from services.dummy_bank.past import Added, Past
from services.dummy_bank.problems import responses
from services.dummy_bank.times import Time
from shared.banks.messages import MAX_LIST_ITEMS, Statement
from shared.clock import rfc3339

router = APIRouter(prefix="/{bank}/api", tags=["records"], responses=responses(400, 401, 404, 405, 413, 422, 500))


From = Annotated[Time | None, Query(alias="from", description="RFC 3339, inclusive")]
To = Annotated[Time | None, Query(description="RFC 3339, exclusive")]
MessageId = Annotated[str, Path(min_length=1, max_length=128)]

_BEGINNING, _END = "0001-01-01", "9999-12-31"


@router.get("/statement", response_model=None, responses={200: {"model": Statement}})
async def get_statement(simulator: SimulatorDep, profile: KeyedBankDep, from_: From = None, to: To = None) -> Response:
    """The nodal account's lines, oldest first, up to 100,000."""
    query = (
        "SELECT at, CASE credit WHEN ? THEN 'CREDIT' ELSE 'DEBIT' END AS direction, amount, reference, utr,"
        " nodal_balance_after AS balance_after FROM postings"
        " WHERE (credit = ? OR debit = ?) AND bank = ? AND at >= ? AND at < ? ORDER BY id LIMIT ?"
    )
    return await _whole(simulator, query, NODAL, NODAL, NODAL, profile.code, *_range(from_, to))


@router.get("/calls", response_model=None, responses={200: {"model": CallLog}})
async def get_call_log(simulator: SimulatorDep, profile: KeyedBankDep, from_: From = None, to: To = None) -> Response:
    """The payout calls by when they began, oldest first, up to 100,000."""
    query = (
        "SELECT reference, user_ref, amount, started_at, ended_at, outcome, traceparent FROM calls"
        " LEFT JOIN call_traces ON call_id = calls.id"
        " WHERE bank = ? AND started_at >= ? AND started_at < ? ORDER BY id LIMIT ?"
    )
    return await _whole(simulator, query, profile.code, *_range(from_, to))


@router.get("/faults")
async def get_faults(simulator: SimulatorDep, profile: KeyedBankDep) -> Faults:
    """The bank's faults."""
    return simulator.faults.of(profile.code)


@router.put("/faults")
async def choose_faults(chosen: Faults, simulator: SimulatorDep, profile: KeyedBankDep) -> Faults:
    """Replace all faults; a fault that is left out is off. The draws restart from the seed."""
    simulator.choose_faults(profile.code, chosen)
    return chosen


@router.get("/notices")
async def list_notices(simulator: SimulatorDep, profile: KeyedBankDep) -> dict[str, Any]:
    """The newest 200 notices to the platform, each with its deliveries and their answers."""
    rows = notice_queue.newest(simulator.database, profile.code, limit=200)
    return {"items": rows, "next_cursor": None}


@router.post("/notices/{message_id}/resend", status_code=202, responses=responses(409))
async def resend_notice(message_id: MessageId, simulator: SimulatorDep, profile: KeyedBankDep) -> dict[str, str]:
    """Send a notice again, under the same webhook-id."""
    await simulator.resend(profile, message_id)
    return {"message_id": message_id}


@router.post("/past", responses=responses(409))
async def enter_past(given: Past, simulator: SimulatorDep, profile: KeyedBankDep) -> Added:
    """Enter payments and payouts of the past, for sample data. A known reference is left as it is."""
    with simulator.database.transaction() as connection:
        return Added(added=past.enter(connection, profile.code, given))


def _range(from_: AwareDatetime | None, to: AwareDatetime | None) -> tuple[str, str, int]:
    try:
        start = rfc3339(from_) if from_ else _BEGINNING
        end = rfc3339(to) if to else _END
    except OverflowError:
        raise BankError(422, "INVALID", "The range is beyond the calendar.") from None
    return start, end, MAX_LIST_ITEMS + 1


async def _whole(simulator: SimulatorDep, query: str, *values: object) -> Response:
    def read() -> bytes:
        rows: list[Row] = simulator.database.read_separately(query, *values)
        if len(rows) > MAX_LIST_ITEMS:
            raise BankError(422, "RANGE_TOO_LARGE", f"More than {MAX_LIST_ITEMS} items; ask for a shorter range.")
        return json.dumps({"items": [dict(row) for row in rows], "next_cursor": None}).encode()

    return Response(await asyncio.to_thread(read), media_type="application/json")
