"""JSON routes of withdrawals: request one, cancel it, and see how far each one is. The same in every app."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, BackgroundTasks, Response
from fastapi.responses import JSONResponse
from pydantic import ConfigDict, Field

from shared.auth.errors import EmailUnverified
from shared.banks.account_numbers import AccountNumber, Ifsc
from shared.db.retries import in_transaction
from shared.http.dependencies import (
    Caller,
    CurrentResources,
    IdempotencyKey,
    PinCheck,
    respond,
)
from shared.http.fields import BankCode, Body, HolderName, Paise, Pin
from shared.http.keyed_requests import KEY_ERRORS, PIN_ERRORS, REPLAY_HEADERS, WITHDRAW
from shared.http.pagination import Page, PageQuery
from shared.http.problems import problem_responses
from shared.http.responses import json_response, page_response
from shared.http.withdrawals import (
    CurrentWorkerHint,
    WithdrawalOut,
    WithdrawalWithTimelineOut,
    shown_detail,
    shown_withdrawal,
)
from shared.ledger.errors import AccountClosed, AccountFrozen, InsufficientFunds, LimitExceeded
from shared.quotas.errors import TooFrequentWithdrawals
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
                    "pin": "4812",
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
            EmailUnverified,
            InsufficientFunds,
            LimitExceeded,
            AccountClosed,
            AccountFrozen,
            WithdrawalInvalid,
            TooManyQueued,
            TooFrequentWithdrawals,
            *KEY_ERRORS,
            *PIN_ERRORS,
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
        number_keys=resources.number_keys,
        limits=resources.settings.limits,
        max_unfinished=resources.settings.quotas.unfinished_withdrawals,
        quotas=resources.quotas.withdrawals,
        requires_verified_email=resources.settings.requires_verified_email,
    )
    afterwards.add_task(hint, caller.owner_id)
    return respond(answer, "withdrawal_id")


@router.get("", response_model=Page[WithdrawalOut])
async def list_own_withdrawals(caller: Caller, resources: CurrentResources, page: PageQuery) -> Response:
    """The caller's withdrawals, newest first."""
    found, before = await queries.list_withdrawals(
        resources.reads, owner_id=caller.owner_id, limit=page.limit, before=page.after_id()
    )
    return page_response([shown_withdrawal(withdrawal) for withdrawal in found], before)


@router.get(
    "/{withdrawal_id}", response_model=WithdrawalWithTimelineOut, responses=problem_responses(WithdrawalNotFound)
)
async def get_own_withdrawal(caller: Caller, resources: CurrentResources, withdrawal_id: UUID) -> Response:
    """One of the caller's withdrawals, with its timeline."""
    detail = await queries.get_withdrawal(resources.reads, owner_id=caller.owner_id, withdrawal_id=withdrawal_id)
    return json_response(shown_detail(detail))


@router.post(
    "/{withdrawal_id}/cancel",
    response_model=WithdrawalWithTimelineOut,
    responses=problem_responses(WithdrawalNotFound, AlreadySent),
)
async def cancel_own_withdrawal(caller: Caller, resources: CurrentResources, withdrawal_id: UUID) -> Response:
    """Cancel it, which is possible only while it is queued."""
    detail = await in_transaction(
        resources.sessionmaker,
        lambda session: commands.cancel(session, owner_id=caller.owner_id, withdrawal_id=withdrawal_id),
    )
    return json_response(shown_detail(detail))
