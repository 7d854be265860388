"""Requests with an `Idempotency-Key`: their operations, and how the routes document them."""

from __future__ import annotations

from typing import Any

from shared.auth.errors import HashingBusy, PinIncorrect, PinLocked, PinTokenInvalid
from shared.errors import BatuaError
from shared.http.on_ramps import on_ramp_body
from shared.http.receipts import bulk_body, refund_body, transfer_body
from shared.http.withdrawals import withdrawal_body
from shared.idempotency.errors import IdempotencyKeyMissing, IdempotencyKeyReused, RequestInFlight
from shared.idempotency.keyed_request import Operation
from shared.quotas.errors import TooManyKeys

SEND_MONEY = Operation("POST", "/api/v1/transfers", 201, transfer_body)
SEND_MONEY_TO_MANY = Operation("POST", "/api/v1/transfers/bulk", 200, bulk_body)
GIVE_INITIAL_FUNDS = Operation("POST", "/api/v1/system/initial-funds", 201, transfer_body)
REFUND_PAYMENT = Operation("POST", "/api/v1/transactions/{id}/refund", 201, refund_body)
START_ON_RAMP = Operation("POST", "/api/v1/on-ramps", 201, on_ramp_body)
WITHDRAW = Operation("POST", "/api/v1/withdrawals", 202, withdrawal_body)

KEY_ERRORS: tuple[type[BatuaError], ...] = (IdempotencyKeyMissing, IdempotencyKeyReused, RequestInFlight, TooManyKeys)
PIN_ERRORS: tuple[type[BatuaError], ...] = (PinIncorrect, PinTokenInvalid, PinLocked, HashingBusy)
REPLAY_HEADERS: dict[str, Any] = {
    "headers": {
        "Idempotent-Replayed": {
            "description": "`true` when this key was answered before and nothing happened now",
            "schema": {"type": "string", "enum": ["true"]},
        }
    }
}
