"""JSON routes that send money to people, to shops, and between the caller's accounts."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import ConfigDict, Field

from shared.auth.errors import EmailUnverified
from shared.auth.rules import MAX_TOKEN_LENGTH
from shared.http.dependencies import Caller, CurrentResources, IdempotencyKey, PinToken, is_idempotency_key, respond
from shared.http.fields import Body, Paise, Pin, Recipient
from shared.http.keyed_requests import KEY_ERRORS, PIN_ERRORS, REPLAY_HEADERS, SEND_MONEY
from shared.http.problems import problem_responses
from shared.http.query_parameters import OptionalText
from shared.http.receipts import TransferOut
from shared.http.sending import CurrentSender, caller_sending
from shared.http.shortcuts import ShortcutRoute, json_body, shortcut
from shared.ledger.errors import (
    AccountClosed,
    AccountFrozen,
    AccountNotFound,
    CurrencyMismatch,
    InsufficientFunds,
    LedgerBusy,
    LimitExceeded,
    SameAccount,
)
from shared.quotas.errors import TooManySmallTransfers
from shared.transfers import commands
from shared.transfers.errors import RecipientNotFound, TransferNotFound

router = APIRouter(prefix="/transfers", tags=["transfers"], route_class=ShortcutRoute)

SEND_ERRORS = (
    InsufficientFunds,
    LimitExceeded,
    SameAccount,
    AccountClosed,
    AccountFrozen,
    CurrencyMismatch,
    RecipientNotFound,
    LedgerBusy,
    AccountNotFound,
    TooManySmallTransfers,
    EmailUnverified,
)


class TransferIn(Body):
    """What to send to whom; without `pin` an `X-Pin-Token` is needed."""

    to: Recipient
    amount: Paise
    note: OptionalText = None
    pin: Pin | None = None
    from_account: UUID | None = Field(default=None, description="Pay from this pot instead of the wallet")

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"to": "bob@batua", "amount": 50000, "note": "rent", "pin": "4812"}]}
    )


async def _well_formed(request: Request) -> dict[str, Any] | None:
    """The parameters of `send_money`, when key and PIN token are there and the body fits."""
    key, pin_token = request.headers.get("idempotency-key"), request.headers.get("x-pin-token")
    if not is_idempotency_key(key) or pin_token is None or len(pin_token) > MAX_TOKEN_LENGTH:
        return None
    body = await json_body(request, TransferIn)
    if body is None:
        return None
    caller = await caller_sending(request, to=body.to, from_account=body.from_account)
    return {"caller": caller, "key": key, "body": body, "pin_token": pin_token}


@router.post(
    "",
    status_code=SEND_MONEY.success_status,
    response_model=TransferOut,
    responses={
        SEND_MONEY.success_status: REPLAY_HEADERS,
        **problem_responses(*SEND_ERRORS, *KEY_ERRORS, *PIN_ERRORS),
    },
)
@shortcut(_well_formed)
async def send_money(
    caller: CurrentSender, key: IdempotencyKey, body: TransferIn, pin_token: PinToken = None
) -> JSONResponse:
    """Send money to a friend (`p2p`) or a shop (`payment`), or move it between the caller's accounts."""
    await caller.pin_checker(pin_token)(body.pin)
    resources = caller.resources
    answer = await commands.send(
        SEND_MONEY.request(caller.identity.owner_id, key),
        sender=await caller.sender_to(body.to, body.from_account),
        amount=body.amount,
        note=body.note,
        group_commit=resources.group_commit,
        marks=resources.marks,
        limits=resources.settings.limits,
        quotas=resources.quotas,
    )
    return respond(answer, "transfer_id")


@router.get("/{transfer_id}", responses=problem_responses(TransferNotFound))
async def get_transfer(caller: Caller, resources: CurrentResources, transfer_id: UUID) -> TransferOut:
    """A transfer, for either party."""
    return TransferOut.of(await resources.receipts.find(reader=caller.owner_id, transfer_id=transfer_id))
