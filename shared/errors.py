"""Categories of refusal. What is wrong, never which HTTP status says so: that is `shared.http.problems`.

Each error is a named dataclass in the room that raises it, with a stable snake_case `code` and its facts
as fields:

    @dataclass(eq=False)
    class InsufficientFunds(Unaffordable):
        code = "insufficient_funds"
        title = "Not enough money"
        available: int

Callers rely on `code` and on the facts; the words may change.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import Any, ClassVar


class BatuaError(Exception):
    """The root of everything Batua refuses on purpose."""

    code: ClassVar[str]
    title: ClassVar[str]

    @property
    def detail(self) -> str:
        """One sentence for the person who asked: what is wrong and what to do."""
        return self.title

    @property
    def retry_after_seconds(self) -> int | None:
        """When it is worth asking again, or None when it is not a matter of time."""
        return None

    def facts(self) -> dict[str, Any]:
        """The error's fields, as shown to the caller."""
        return {field.name: getattr(self, field.name) for field in fields(self)} if is_dataclass(self) else {}

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}"


class Malformed(BatuaError):
    """The request cannot be read."""


class Unauthenticated(BatuaError):
    """Who is asking is not known."""


class Unaffordable(BatuaError):
    """There is not enough money."""


class Forbidden(BatuaError):
    """Known, but not allowed."""


class NotFound(BatuaError):
    """It does not exist, or is not the caller's to see: the two are never told apart."""


class Conflict(BatuaError):
    """The present state does not allow it."""


class TooLarge(BatuaError):
    """More than is accepted at once."""


class TooSlow(BatuaError):
    """The request did not arrive in time."""


class UnsupportedMedia(BatuaError):
    """Not a format that is accepted."""


@dataclass(eq=False)
class FieldError:
    """One field of the request and what is wrong with it."""

    field: str
    message: str


class Invalid(BatuaError):
    """Readable, but breaks a rule."""


class Locked(BatuaError):
    """Shut for a while, to protect its owner."""


class TooMany(BatuaError):
    """Asked too often."""


class UpstreamFailed(BatuaError):
    """A bank did not do what was asked, and nothing happened here."""


class Unavailable(BatuaError):
    """Batua itself cannot do it now; asking again later is safe."""
