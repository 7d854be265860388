"""What routes with an `Idempotency-Key` share: the claim of a request, and how they are documented."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from shared.auth.errors import HashingBusy, PinIncorrect, PinLocked, PinTokenInvalid
from shared.errors import BatuaError
from shared.http.fields import Body
from shared.idempotency.claims import SECRET_FIELDS, Claim, claim_for
from shared.idempotency.errors import IdempotencyKeyMissing, IdempotencyKeyReused, RequestInFlight

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
