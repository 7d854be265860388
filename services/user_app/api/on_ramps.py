"""JSON routes that add money from a bank."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from pydantic import ConfigDict

from services.user_app.banks import CurrentBanks, CurrentOnRampSettings
from shared.banks.errors import BankUnavailable
from shared.http.dependencies import Caller, CurrentResources, IdempotencyKey, respond
from shared.http.fields import BankCode, Body, Paise
from shared.http.keyed_requests import KEY_ERRORS, REPLAY_HEADERS, START_ON_RAMP
from shared.http.on_ramps import OnRampOut, shown_on_ramp
from shared.http.pagination import Page, PageQuery
from shared.http.problems import problem_responses
from shared.http.responses import json_response, page_response
from shared.on_ramps import commands, queries
from shared.on_ramps.errors import AlreadyDecided, OnRampNotFound, TooManyOnRamps, UnknownBank

router = APIRouter(prefix="/on-ramps", tags=["on-ramps"])


class OnRampIn(Body):
    """How much to add, from which bank."""

    bank: BankCode
    amount: Paise

    model_config = ConfigDict(json_schema_extra={"examples": [{"bank": "hdfc", "amount": 200000}]})


@router.post(
    "",
    status_code=START_ON_RAMP.success_status,
    response_model=OnRampOut,
    responses={
        START_ON_RAMP.success_status: REPLAY_HEADERS,
        **problem_responses(UnknownBank, TooManyOnRamps, BankUnavailable, *KEY_ERRORS),
    },
)
async def start_on_ramp(
    *,
    caller: Caller,
    key: IdempotencyKey,
    resources: CurrentResources,
    banks: CurrentBanks,
    settings: CurrentOnRampSettings,
    body: OnRampIn,
) -> JSONResponse:
    """Open a netbanking session at the bank and say where to send the person."""
    answer = await commands.start(
        START_ON_RAMP.request(caller.owner_id, key),
        bank=body.bank,
        amount=body.amount,
        sessionmaker=resources.sessionmaker,
        clients=banks.clients,
        marks=resources.marks,
        settings=settings,
    )
    return respond(answer, "on_ramp_id")


@router.get("", response_model=Page[OnRampOut])
async def list_own_on_ramps(caller: Caller, resources: CurrentResources, page: PageQuery) -> Response:
    """The caller's on-ramps, newest first."""
    found, before = await queries.list_on_ramps(
        resources.reads, owner_id=caller.owner_id, limit=page.limit, before=page.after_id()
    )
    return page_response([shown_on_ramp(on_ramp) for on_ramp in found], before)


@router.get("/{on_ramp_id}", response_model=OnRampOut, responses=problem_responses(OnRampNotFound))
async def get_own_on_ramp(caller: Caller, resources: CurrentResources, on_ramp_id: UUID) -> Response:
    """One of the caller's on-ramps."""
    found = await queries.get_on_ramp(resources.reads, owner_id=caller.owner_id, on_ramp_id=on_ramp_id)
    return json_response(shown_on_ramp(found))


@router.post(
    "/{on_ramp_id}/cancel",
    response_model=OnRampOut,
    responses={
        202: {
            "model": OnRampOut,
            "description": "The bank has not answered yet: still `pending`, and the bank is asked again",
        },
        **problem_responses(OnRampNotFound, AlreadyDecided),
    },
)
async def cancel_own_on_ramp(
    *,
    caller: Caller,
    resources: CurrentResources,
    banks: CurrentBanks,
    settings: CurrentOnRampSettings,
    on_ramp_id: UUID,
) -> Response:
    """Have the bank end the netbanking session, and cancel the on-ramp once the bank has said that nothing was paid."""
    cancelled = await commands.cancel(
        owner_id=caller.owner_id,
        on_ramp_id=on_ramp_id,
        sessionmaker=resources.sessionmaker,
        clients=banks.clients,
        settings=settings,
    )
    return json_response(shown_on_ramp(cancelled), status=200 if cancelled.status.is_final else 202)
