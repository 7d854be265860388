"""How an on-ramp is shown to its owner."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from shared.clock import rfc3339
from shared.models import OnRamp


def body_of(on_ramp: OnRamp) -> dict[str, Any]:
    """The JSON body of one on-ramp: `amount` in paise, times in RFC 3339 UTC."""
    return {
        "id": str(on_ramp.id),
        "status": on_ramp.status,
        "bank": on_ramp.bank,
        "amount": on_ramp.amount,
        "currency": on_ramp.currency,
        "redirect_url": on_ramp.redirect_url,
        "failure_reason": on_ramp.failure_reason,
        "transfer_id": None if on_ramp.transfer_id is None else str(on_ramp.transfer_id),
        "created_at": rfc3339(on_ramp.created_at),
        "settled_at": _time(on_ramp.settled_at),
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)
