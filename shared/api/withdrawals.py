"""Withdrawing to a bank: into the queue, out of it again, and how far each one is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, BackgroundTasks, Depends, Request, status
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from shared.auth.tokens import Identity
from shared.banks.account_numbers import AccountNumber, Ifsc
from shared.http.dependencies import (
    Caller,
    CurrentResources,
    IdempotencyKey,
    PinCheck,
    ReadSession,
    WriteSession,
    respond,
)
from shared.http.fields import Body, Name, Paise, Pin
from shared.http.keyed_requests import KEY_ERRORS, PIN_ERRORS, REPLAY_HEADERS, claim_of
from shared.http.pagination import Page, PageQuery, cursor_of
from shared.http.problems import problem_responses
from shared.idempotency.claims import Answer
from shared.ledger.errors import AccountClosed, InsufficientFunds, LimitExceeded
from shared.runtime.resources import Resources
from shared.withdrawals.commands import cancel_withdrawal, request_withdrawal
from shared.withdrawals.errors import AlreadySent, TooManyQueued, WithdrawalInvalid, WithdrawalNotFound
from shared.withdrawals.queries import get_withdrawal, list_withdrawals

router = APIRouter(prefix="/withdrawals", tags=["withdrawals"])

Hint = Callable[[UUID], Awaitable[None]]
"""Tells the worker that this owner has something to withdraw; best effort, never raises."""
Status = Literal[
    "queued", "in_flight", "waiting", "unknown", "needs_review", "succeeded", "failed", "cancelled", "reversed"
]
WaitingFor = Literal["earlier_withdrawal", "worker", "bank_answer", "bank_available", "review"]
_EXAMPLE: dict[str, Any] = {
    "id": "0199f0c2-6f2c-7a55-9c07-2f6a4f6d1f10",
    "status": "queued",
    "bank": "hdfc",
    "account_number": "XXXXXX1234",
    "ifsc": "HDFC0000001",
    "account_holder": "Alice Rao",
    "amount": 10000,
    "currency": "INR",
    "position": 1,
    "waiting_for": "worker",
    "next_check_at": None,
    "utr": None,
    "failure_reason": None,
    "created_at": "2026-11-20T09:30:00.123456Z",
    "finished_at": None,
}
_STEP_EXAMPLE: dict[str, Any] = {
    "at": "2026-11-20T09:30:00.123456Z",
    "status": "queued",
    "kind": "queued",
    "message": "In the queue",
    "facts": {},
}


class WithdrawalIn(Body):
    """How much to which bank account; without `pin` an `X-Pin-Token` is needed."""

    bank: Annotated[str, Field(min_length=1, max_length=16, pattern="^[a-z]+$", examples=["hdfc"])]
    account_number: Annotated[AccountNumber, Field(examples=["123456781234"])]
    ifsc: Annotated[Ifsc, Field(examples=["HDFC0000001"])]
    account_holder: Name
    amount: Paise
    pin: Pin | None = None

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "bank": "hdfc",
                    "account_number": "123456781234",
                    "ifsc": "HDFC0000001",
                    "account_holder": "Alice Rao",
                    "amount": 10000,
                    "pin": "1234",
                }
            ]
        }
    )


class WithdrawalOut(BaseModel):
    """Money on its way out. Amount in paise, the account number masked; `position` is its place in one's queue."""

    id: UUID
    status: Status
    bank: str
    account_number: str
    ifsc: str
    account_holder: str
    amount: int
    currency: str
    position: int | None
    waiting_for: WaitingFor | None
    next_check_at: datetime | None
    utr: str | None
    failure_reason: str | None
    created_at: datetime
    finished_at: datetime | None

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})


class StepOut(BaseModel):
    """One line of the timeline. `kind` is stable, the words of `message` are not."""

    at: datetime
    status: Status
    kind: str
    message: str
    facts: dict[str, Any]

    model_config = ConfigDict(json_schema_extra={"examples": [_STEP_EXAMPLE]})


class WithdrawalWithTimelineOut(WithdrawalOut):
    """A withdrawal and everything that happened to it, oldest first."""

    timeline: list[StepOut]

    model_config = ConfigDict(json_schema_extra={"examples": [{**_EXAMPLE, "timeline": [_STEP_EXAMPLE]}]})


def _current_hint(request: Request) -> Hint:
    hint: Hint = request.app.state.hint_withdrawal
    return hint


CurrentHint = Annotated[Hint, Depends(_current_hint)]


async def withdraw_once(resources: Resources, caller: Identity, key: str, body: WithdrawalIn) -> Answer:
    """Queue the withdrawal, or repeat the answer that this key got before; the PIN was checked. Commits.

    Raises InsufficientFunds, LimitExceeded,
    AccountClosed, WithdrawalInvalid, TooManyQueued, IdempotencyKeyReused, RequestInFlight.
    """
    claim = claim_of(caller.owner_id, key, route="/api/v1/withdrawals", body=body)

    async def work() -> Answer:
        # Committed before the guard remembers the answer: what it remembers must be so.
        async with resources.sessionmaker.begin() as session:
            return await request_withdrawal(
                session,
                owner_id=caller.owner_id,
                claim=claim,
                bank=body.bank,
                account_number=body.account_number,
                ifsc=body.ifsc,
                account_holder=body.account_holder,
                amount=body.amount,
                limits=resources.settings.limits,
            )

    return await resources.guard.run(claim, work)


@router.post(
    "",
    status_code=status.HTTP_202_ACCEPTED,
    response_model=WithdrawalOut,
    responses={
        202: REPLAY_HEADERS,
        **problem_responses(
            InsufficientFunds, LimitExceeded, AccountClosed, WithdrawalInvalid, TooManyQueued, *KEY_ERRORS, *PIN_ERRORS
        ),
    },
)
async def withdraw(
    *,
    caller: Caller,
    key: IdempotencyKey,
    check_pin: PinCheck,
    resources: CurrentResources,
    hint: CurrentHint,
    afterwards: BackgroundTasks,
    body: WithdrawalIn,
) -> JSONResponse:
    """Put money aside and into one's queue; the worker sends one after the other."""
    await check_pin(body.pin)
    answer = await withdraw_once(resources, caller, key, body)
    afterwards.add_task(hint, caller.owner_id)
    return respond(answer)


@router.get("")
async def list_own_withdrawals(caller: Caller, session: ReadSession, page: PageQuery) -> Page[WithdrawalOut]:
    """The caller's withdrawals, newest first."""
    found, before = await list_withdrawals(session, owner_id=caller.owner_id, limit=page.limit, before=page.after_id())
    items = [WithdrawalOut.model_validate(each) for each in found]
    return Page(items=items, next_cursor=None if before is None else cursor_of(before))


@router.get("/{withdrawal_id}", responses=problem_responses(WithdrawalNotFound))
async def get_own_withdrawal(caller: Caller, session: ReadSession, withdrawal_id: UUID) -> WithdrawalWithTimelineOut:
    """One of the caller's withdrawals, with its timeline."""
    shown = await get_withdrawal(session, owner_id=caller.owner_id, withdrawal_id=withdrawal_id)
    return WithdrawalWithTimelineOut.model_validate(shown)


@router.post("/{withdrawal_id}/cancel", responses=problem_responses(WithdrawalNotFound, AlreadySent))
async def cancel_own_withdrawal(
    caller: Caller, session: WriteSession, withdrawal_id: UUID
) -> WithdrawalWithTimelineOut:
    """Take it back, which is possible only while it is queued."""
    shown = await cancel_withdrawal(session, owner_id=caller.owner_id, withdrawal_id=withdrawal_id)
    return WithdrawalWithTimelineOut.model_validate(shown)
