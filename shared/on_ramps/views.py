"""What the flow tells of an on-ramp. Amounts in paise, times in UTC."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from shared import spans
from shared.db.reads import Row
from shared.models import OnRamp
from shared.models.on_ramp import OnRampStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class OnRampView:
    """An on-ramp as its owner sees it.

    The person approves the payment at `redirect_url`, which is None until the bank has opened the session. At
    `expires_at` the bank ends the session; None if it does not tell. A cancellation is asked for at
    `cancel_requested_at`, and done when the status is `cancelled`.
    """

    id: UUID
    status: OnRampStatus
    bank: str
    amount: int
    currency: str
    redirect_url: str | None
    bank_reference: str | None
    failure_reason: str | None
    transfer_id: UUID | None
    created_at: datetime
    settled_at: datetime | None
    expires_at: datetime | None
    cancel_requested_at: datetime | None
    is_late_success: bool
    trace_id: str | None = None
    """Of the request that started it, where traces are recorded."""


_COLUMNS = [*(field.name for field in fields(OnRampView) if field.name != "trace_id"), "traceparent"]
VIEW_COLUMNS = ", ".join(_COLUMNS)
"""What a statement selects for `view_from`."""


def view_from(row: Row) -> OnRampView:
    """A row of VIEW_COLUMNS as its owner sees it."""
    return _view(dict(zip(_COLUMNS, row, strict=True)))


def view_of(on_ramp: OnRamp) -> OnRampView:
    """The row as its owner sees it."""
    return _view({name: getattr(on_ramp, name) for name in _COLUMNS})


def _view(values: dict[str, Any]) -> OnRampView:
    status, traceparent = OnRampStatus(values.pop("status")), values.pop("traceparent")
    return OnRampView(**values, status=status, trace_id=spans.trace_of(traceparent))
