"""Giving a payment back."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, status
from fastapi.responses import JSONResponse
from pydantic import ConfigDict, Field

from shared.auth.tokens import Identity
from shared.http.dependencies import Caller, CurrentResources, IdempotencyKey, PinCheck, respond
from shared.http.fields import Body, Paise, Pin
from shared.http.keyed_requests import KEY_ERRORS, PIN_ERRORS, REPLAY_HEADERS
from shared.http.problems import problem_responses
from shared.http.query_parameters import OptionalText
from shared.http.receipts import RefundOut
from shared.idempotency.claims import Answer, claim_for
from shared.ledger.errors import AccountClosed, InsufficientFunds, ReversalExceedsOriginal
from shared.runtime.resources import Resources
from shared.transfers.errors import NotRefundable, TransferNotFound
from shared.transfers.refunds import refund

router = APIRouter(tags=["transactions"])

REFUND_ERRORS = (TransferNotFound, NotRefundable, ReversalExceedsOriginal, InsufficientFunds, AccountClosed)


class RefundIn(Body):
    """How much of the payment to give back; all that is left of it when no amount is given."""

    amount: Paise | None = Field(default=None, examples=[5000])
    note: OptionalText = None
    pin: Pin | None = None

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"amount": 5000, "note": "one samosa too many", "pin": "1234"}]}
    )


async def refund_once(resources: Resources, caller: Identity, key: str, payment_id: UUID, body: RefundIn) -> Answer:
    """Give it back, or repeat the answer that this key got before; the PIN was checked. Raises REFUND_ERRORS,
    IdempotencyKeyReused, RequestInFlight.
    """
    claim = claim_for(
        caller.owner_id,
        key,
        method="POST",
        route="/api/v1/transactions/{id}/refund",
        body={"id": str(payment_id), "amount": body.amount, "note": body.note},
    )

    async def work() -> Answer:
        # Committed before the guard remembers the answer: what it remembers must be so.
        async with resources.sessionmaker.begin() as session:
            return await refund(
                session,
                owner_id=caller.owner_id,
                payment_id=payment_id,
                claim=claim,
                amount=body.amount,
                note=body.note,
            )

    return await resources.guard.run(claim, work)


@router.post(
    "/transactions/{transaction_id}/refund",
    status_code=status.HTTP_201_CREATED,
    response_model=RefundOut,
    responses={201: REPLAY_HEADERS, **problem_responses(*REFUND_ERRORS, *KEY_ERRORS, *PIN_ERRORS)},
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
    """Give a payment that the shop received back to whoever paid, partly or wholly."""
    await check_pin(body.pin)
    return respond(await refund_once(resources, caller, key, transaction_id, body))
