"""JSON routes of withdrawals: request one, cancel it, and see how far each one is. The same in every app."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, BackgroundTasks
from fastapi.responses import JSONResponse
from pydantic import ConfigDict, Field

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
from shared.http.fields import BankCode, Body, HolderName, Paise, Pin
from shared.http.keyed_requests import KEY_ERRORS, PIN_ERRORS, REPLAY_HEADERS, WITHDRAW
from shared.http.pagination import Page, PageQuery, cursor_of
from shared.http.problems import problem_responses
from shared.http.withdrawals import CurrentWorkerHint, WithdrawalOut, WithdrawalWithTimelineOut
from shared.ledger.errors import AccountClosed, InsufficientFunds, LimitExceeded
from shared.withdrawals import commands, queries
from shared.withdrawals.errors import AlreadySent, TooManyQueued, WithdrawalInvalid, WithdrawalNotFound

router = APIRouter(prefix="/withdrawals", tags=["withdrawals"])


class WithdrawalIn(Body):
    """How much to which bank account; without `pin` an `X-Pin-Token` is needed."""

    bank: BankCode
    account_number: Annotated[AccountNumber, Field(examples=["123456781234"])]
    ifsc: Annotated[Ifsc, Field(examples=["HDFC0000001"])]
    account_holder: HolderName
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


@router.post(
    "",
    status_code=WITHDRAW.success_status,
    response_model=WithdrawalOut,
    responses={
        WITHDRAW.success_status: REPLAY_HEADERS,
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
    hint: CurrentWorkerHint,
    afterwards: BackgroundTasks,
    body: WithdrawalIn,
) -> JSONResponse:
    """Hold the money and put the withdrawal into the caller's queue; the worker sends one after the other."""
    await check_pin(body.pin)
    answer = await commands.request(
        WITHDRAW.request(caller.owner_id, key),
        bank=body.bank,
        account_number=body.account_number,
        ifsc=body.ifsc,
        account_holder=body.account_holder,
        amount=body.amount,
        sessionmaker=resources.sessionmaker,
        marks=resources.marks,
        limits=resources.settings.limits,
    )
    afterwards.add_task(hint, caller.owner_id)
    return respond(answer)


@router.get("")
async def list_own_withdrawals(caller: Caller, session: ReadSession, page: PageQuery) -> Page[WithdrawalOut]:
    """The caller's withdrawals, newest first."""
    found, before = await queries.list_withdrawals(
        session, owner_id=caller.owner_id, limit=page.limit, before=page.after_id()
    )
    items = [WithdrawalOut.of(withdrawal) for withdrawal in found]
    return Page(items=items, next_cursor=None if before is None else cursor_of(before))


@router.get("/{withdrawal_id}", responses=problem_responses(WithdrawalNotFound))
async def get_own_withdrawal(caller: Caller, session: ReadSession, withdrawal_id: UUID) -> WithdrawalWithTimelineOut:
    """One of the caller's withdrawals, with its timeline."""
    detail = await queries.get_withdrawal(session, owner_id=caller.owner_id, withdrawal_id=withdrawal_id)
    return WithdrawalWithTimelineOut.of_detail(detail)


@router.post("/{withdrawal_id}/cancel", responses=problem_responses(WithdrawalNotFound, AlreadySent))
async def cancel_own_withdrawal(
    caller: Caller, session: WriteSession, withdrawal_id: UUID
) -> WithdrawalWithTimelineOut:
    """Cancel it, which is possible only while it is queued."""
    detail = await commands.cancel(session, owner_id=caller.owner_id, withdrawal_id=withdrawal_id)
    return WithdrawalWithTimelineOut.of_detail(detail)
