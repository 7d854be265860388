"""Adding money from a bank."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, cast
from uuid import UUID

from fastapi import APIRouter, status
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from services.user_app.banks import Banks, CurrentBanks
from services.user_app.settings import UserAppSettings
from shared.auth.tokens import Identity
from shared.banks.errors import BankUnavailable
from shared.http.dependencies import Caller, CurrentResources, IdempotencyKey, ReadSession, respond
from shared.http.fields import Body, Paise
from shared.http.keyed_requests import KEY_ERRORS, REPLAY_HEADERS, claim_of
from shared.http.pagination import Page, PageQuery, cursor_of
from shared.http.problems import problem_responses
from shared.idempotency.claims import Answer
from shared.on_ramps.commands import get_on_ramp, list_on_ramps, start
from shared.on_ramps.errors import OnRampNotFound, TooManyOnRamps, UnknownBank
from shared.on_ramps.views import body_of
from shared.runtime.resources import Resources

router = APIRouter(prefix="/on-ramps", tags=["on-ramps"])

BankCode = Annotated[str, Field(min_length=1, max_length=16, pattern="^[a-z]+$", examples=["hdfc"])]


class OnRampIn(Body):
    """How much to add, from which bank."""

    bank: BankCode
    amount: Paise

    model_config = ConfigDict(json_schema_extra={"examples": [{"bank": "hdfc", "amount": 200000}]})


class OnRampOut(BaseModel):
    """Money on its way in. The person approves it at `redirect_url`; only the bank's own word makes it `success`."""

    id: UUID
    status: Literal["pending", "success", "failure"]
    bank: str
    amount: int
    currency: str
    redirect_url: str | None
    failure_reason: str | None
    transfer_id: UUID | None
    created_at: datetime
    settled_at: datetime | None

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "0199f0c2-6f2c-7a55-9c07-2f6a4f6d1f10",
                    "status": "pending",
                    "bank": "hdfc",
                    "amount": 200000,
                    "currency": "INR",
                    "redirect_url": "https://netbanking.example/hdfc/netbanking/tok_1",
                    "failure_reason": None,
                    "transfer_id": None,
                    "created_at": "2026-11-20T09:30:00.123456Z",
                    "settled_at": None,
                }
            ]
        }
    )


async def start_once(resources: Resources, banks: Banks, caller: Identity, key: str, body: OnRampIn) -> Answer:
    """Open a netbanking session, or repeat the answer that this key got before. Commits.

    Raises UnknownBank, TooManyOnRamps, BankUnavailable, IdempotencyKeyReused, RequestInFlight.
    """
    claim = claim_of(caller.owner_id, key, route="/api/v1/on-ramps", body=body)
    settings = cast(UserAppSettings, resources.settings)

    async def work() -> Answer:
        return await start(
            resources.sessionmaker,
            clients=banks.clients,
            settings=settings,
            claim=claim,
            bank=body.bank,
            amount=body.amount,
        )

    return await resources.guard.run(claim, work)


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    response_model=OnRampOut,
    responses={201: REPLAY_HEADERS, **problem_responses(UnknownBank, TooManyOnRamps, BankUnavailable, *KEY_ERRORS)},
)
async def start_on_ramp(
    *,
    caller: Caller,
    key: IdempotencyKey,
    resources: CurrentResources,
    banks: CurrentBanks,
    body: OnRampIn,
) -> JSONResponse:
    """Open a netbanking session at the bank and say where to send the person."""
    return respond(await start_once(resources, banks, caller, key, body))


@router.get("")
async def list_own_on_ramps(caller: Caller, session: ReadSession, page: PageQuery) -> Page[OnRampOut]:
    """The caller's on-ramps, newest first."""
    found, before = await list_on_ramps(session, owner_id=caller.owner_id, limit=page.limit, before=page.after_id())
    items = [OnRampOut.model_validate(body_of(on_ramp)) for on_ramp in found]
    return Page(items=items, next_cursor=None if before is None else cursor_of(before))


@router.get("/{on_ramp_id}", responses=problem_responses(OnRampNotFound))
async def get_own_on_ramp(caller: Caller, session: ReadSession, on_ramp_id: UUID) -> OnRampOut:
    """One of the caller's on-ramps."""
    on_ramp = await get_on_ramp(session, owner_id=caller.owner_id, on_ramp_id=on_ramp_id)
    return OnRampOut.model_validate(body_of(on_ramp))
