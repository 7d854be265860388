"""The errors of requests with an idempotency key."""

from __future__ import annotations

from dataclasses import dataclass, field

from shared.errors import Conflict, FieldError, Invalid, Malformed

RETRY_AFTER_SECONDS = 1


@dataclass(eq=False)
class IdempotencyKeyMissing(Malformed):
    """A request that moves money has no key."""

    code = "idempotency_key_missing"
    title = "An Idempotency-Key header is required: 1 to 255 visible ASCII characters"


@dataclass(eq=False)
class IdempotencyKeyReused(Invalid):
    """The key was used for another request. `fields` are the names of the fields that differ."""

    fields: list[str] = field(default_factory=list)

    code = "idempotency_key_reused"
    title = "This Idempotency-Key was used for a different request"

    @property
    def errors(self) -> list[FieldError]:
        """The fields that differ, in the form of every rejected body."""
        return [FieldError(name, "differs from the first request with this key") for name in self.fields]


@dataclass(eq=False)
class RequestInFlight(Conflict):
    """The same request is being carried out now."""

    code = "request_in_flight"
    title = "The same request is still being carried out"

    @property
    def retry_after_seconds(self) -> int:
        """The first request has usually ended by then."""
        return RETRY_AFTER_SECONDS
