"""The JSON route that refunds a payment."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import ConfigDict, Field

from shared.http.dependencies import Caller, CurrentResources, IdempotencyKey, PinCheck, respond
from shared.http.fields import Body, Paise, Pin
from shared.http.keyed_requests import KEY_ERRORS, PIN_ERRORS, REFUND_PAYMENT, REPLAY_HEADERS
from shared.http.problems import problem_responses
from shared.http.query_parameters import OptionalText
from shared.http.receipts import RefundOut
from shared.ledger.errors import AccountClosed, AccountFrozen, InsufficientFunds, ReversalExceedsOriginal
from shared.transfers.errors import NotRefundable, TransferNotFound
from shared.transfers.refunds import refund

router = APIRouter(tags=["transactions"])

REFUND_ERRORS = (
    TransferNotFound,
    NotRefundable,
    ReversalExceedsOriginal,
    InsufficientFunds,
    AccountClosed,
    AccountFrozen,
)


class RefundIn(Body):
    """How much of the payment to give back; all that is left of it when no amount is given."""

    amount: Paise | None = Field(default=None, examples=[5000])
    note: OptionalText = None
    pin: Pin | None = None

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"amount": 5000, "note": "one samosa too many", "pin": "4812"}]}
    )


@router.post(
    "/transactions/{transaction_id}/refund",
    status_code=REFUND_PAYMENT.success_status,
    response_model=RefundOut,
    responses={
        REFUND_PAYMENT.success_status: REPLAY_HEADERS,
        **problem_responses(*REFUND_ERRORS, *KEY_ERRORS, *PIN_ERRORS),
    },
)
async def refund_payment(
    *,
    caller: Caller,
    key: IdempotencyKey,
    check_pin: PinCheck,
    resources: CurrentResources,
    transaction_id: UUID,
    body: RefundIn,
) -> JSONResponse:
    """Refund a payment that the shop received, or part of it, to the person who paid."""
    await check_pin(body.pin)
    answer = await refund(
        REFUND_PAYMENT.request(caller.owner_id, key),
        payment_id=transaction_id,
        amount=body.amount,
        note=body.note,
        sessionmaker=resources.sessionmaker,
        marks=resources.marks,
    )
    return respond(answer, "transfer_id")
