"""Requests with an `Idempotency-Key`: the table of their operations, and how the routes document them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from shared.auth.errors import HashingBusy, PinIncorrect, PinLocked, PinTokenInvalid
from shared.errors import BatuaError
from shared.http.fields import Body
from shared.http.receipts import bulk_body, refund_body, transfer_body
from shared.idempotency.claims import SECRET_FIELDS, Claim, claim_for
from shared.idempotency.errors import IdempotencyKeyMissing, IdempotencyKeyReused, RequestInFlight
from shared.idempotency.keyed_request import Operation
from shared.models import OnRamp
from shared.on_ramps.views import body_of

SEND_MONEY = Operation("POST", "/api/v1/transfers", 201, transfer_body)
SEND_MONEY_TO_MANY = Operation("POST", "/api/v1/transfers/bulk", 200, bulk_body)
GIVE_INITIAL_FUNDS = Operation("POST", "/api/v1/system/initial-funds", 201, transfer_body)
REFUND_PAYMENT = Operation("POST", "/api/v1/transactions/{id}/refund", 201, refund_body)
START_ON_RAMP: Operation[OnRamp] = Operation("POST", "/api/v1/on-ramps", 201, body_of)
WITHDRAW: Operation[dict[str, Any]] = Operation("POST", "/api/v1/withdrawals", 202, dict)

OPERATIONS: tuple[Operation[Any], ...] = (
    SEND_MONEY,
    SEND_MONEY_TO_MANY,
    GIVE_INITIAL_FUNDS,
    REFUND_PAYMENT,
    START_ON_RAMP,
    WITHDRAW,
)

KEY_ERRORS: tuple[type[BatuaError], ...] = (IdempotencyKeyMissing, IdempotencyKeyReused, RequestInFlight)
PIN_ERRORS: tuple[type[BatuaError], ...] = (PinIncorrect, PinTokenInvalid, PinLocked, HashingBusy)
REPLAY_HEADERS: dict[str, Any] = {
    "headers": {
        "Idempotent-Replayed": {
            "description": "`true` when this key was answered before and nothing happened now",
            "schema": {"type": "string", "enum": ["true"]},
        }
    }
}


def claim_of(owner_id: UUID, key: str, *, route: str, body: Body) -> Claim:
    """The claim of a POST with this body. Read fields count, so that one recipient in other letters is the same."""
    fields = body.model_dump(mode="json", exclude=set(SECRET_FIELDS))
    return claim_for(owner_id, key, method="POST", route=route, body=fields)
