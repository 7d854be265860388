"""On-ramps as JSON: what JSON routes answer, what is stored beside a key, and what events show. Amounts in paise."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from shared.clock import Timespec
from shared.http.responses import time_text
from shared.models.on_ramp import OnRampStatus
from shared.on_ramps.views import OnRampView


class OnRampOut(BaseModel):
    """Money on its way in. The person approves it at `redirect_url`; only the bank's own word makes it `success`."""

    id: UUID
    status: OnRampStatus
    bank: str
    amount: int
    currency: str
    redirect_url: str | None
    failure_reason: str | None
    transfer_id: UUID | None
    created_at: datetime
    settled_at: datetime | None
    expires_at: datetime | None
    cancel_requested_at: datetime | None
    trace_id: str | None

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
                    "expires_at": "2026-11-20T09:45:00.123456Z",
                    "cancel_requested_at": None,
                    "trace_id": None,
                }
            ]
        }
    )


def shown_on_ramp(on_ramp: OnRampView) -> dict[str, Any]:
    """An `OnRampOut` as the model writes it: a time without microseconds has none."""
    return on_ramp_body(on_ramp, "auto")


def on_ramp_body(on_ramp: OnRampView, timespec: Timespec = "microseconds") -> dict[str, Any]:
    """An `OnRampOut`. Times are written as `rfc3339` does."""
    return {
        "id": str(on_ramp.id),
        "status": on_ramp.status.value,
        "bank": on_ramp.bank,
        "amount": on_ramp.amount,
        "currency": on_ramp.currency,
        "redirect_url": on_ramp.redirect_url,
        "failure_reason": on_ramp.failure_reason,
        "transfer_id": None if on_ramp.transfer_id is None else str(on_ramp.transfer_id),
        "created_at": time_text(on_ramp.created_at, timespec),
        "settled_at": time_text(on_ramp.settled_at, timespec),
        "expires_at": time_text(on_ramp.expires_at, timespec),
        "cancel_requested_at": time_text(on_ramp.cancel_requested_at, timespec),
        "trace_id": on_ramp.trace_id,
    }
