"""Errors that only a web request can meet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from shared.errors import (
    BatuaError,
    FieldError,
    Forbidden,
    Invalid,
    Malformed,
    TooLarge,
    TooSlow,
    Unavailable,
    UnsupportedMedia,
)

RETRY_AFTER_SECONDS = 2


@dataclass(eq=False)
class InvalidRequest(Invalid):
    """The request can be read, but fields of it break a rule; `errors` names each."""

    errors: Sequence[FieldError] = field(default_factory=tuple)

    code = "invalid_request"
    title = "Some fields are not right"

    @classmethod
    def of(cls, field_name: str, message: str) -> InvalidRequest:
        """One field and what is wrong with it."""
        return cls((FieldError(field_name, message),))

    @property
    def detail(self) -> str:
        """All of `errors` in one sentence."""
        said = "; ".join(f"{error.field}: {error.message}" for error in self.errors)
        return said or self.title


@dataclass(eq=False)
class MalformedJson(Malformed):
    """The body is not JSON."""

    code = "malformed_json"
    title = "The body is not valid JSON"


@dataclass(eq=False)
class BodyTooLarge(TooLarge):
    """The body has more bytes than this service reads."""

    limit_bytes: int

    code = "body_too_large"
    title = "The body is too large"


@dataclass(eq=False)
class BodyTooSlow(TooSlow):
    """The body did not arrive whole in time; the connection is closed."""

    within_seconds: float

    code = "body_too_slow"
    title = "The body did not arrive whole in time"


@dataclass(eq=False)
class JsonRequired(UnsupportedMedia):
    """The Content-Type of the body is not JSON."""

    code = "unsupported_media_type"
    title = "Send the body as application/json"


@dataclass(eq=False)
class CrossOrigin(Forbidden):
    """A browser sends the cookie with requests of other sites too, so it is valid only for those of our own pages."""

    code = "cross_origin"
    title = "A request with the session cookie must come from the same site; others use a bearer token"


@dataclass(eq=False)
class ServiceUnavailable(Unavailable):
    """The database cannot be reached or did not answer in time."""

    code = "unavailable"
    title = "The service cannot do this right now; ask again shortly"

    @property
    def retry_after_seconds(self) -> int:
        """Long enough for a connection pool to recover."""
        return RETRY_AFTER_SECONDS


@dataclass(eq=False)
class InternalError(BatuaError):
    """A defect in Batua. The log holds the traceback under the request id."""

    code = "internal_error"
    title = "Something went wrong on our side"
