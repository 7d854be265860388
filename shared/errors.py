"""Categories of errors. `shared.http.problems` maps each category to an HTTP status.

Each error is a named dataclass in the package that raises it, with a stable snake_case `code` and its facts
as fields:

    @dataclass(eq=False)
    class InsufficientFunds(Unaffordable):
        code = "insufficient_funds"
        title = "Not enough money"
        available: int

Callers rely on `code` and on the facts. `title` and `detail` may change.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import Any, ClassVar


class BatuaError(Exception):
    """The base class of every error that Batua raises on purpose."""

    code: ClassVar[str]
    title: ClassVar[str]

    @property
    def detail(self) -> str:
        """One sentence for the caller: what is wrong and what to do."""
        return self.title

    @property
    def retry_after_seconds(self) -> int | None:
        """Seconds after which a retry may succeed; None when waiting does not help."""
        return None

    def facts(self) -> dict[str, Any]:
        """The error's fields, as the caller sees them."""
        return {field.name: getattr(self, field.name) for field in fields(self)} if is_dataclass(self) else {}

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}"


class Malformed(BatuaError):
    """The request cannot be read."""


class Unauthenticated(BatuaError):
    """The caller is not signed in."""


class Unaffordable(BatuaError):
    """There is not enough money."""


class Forbidden(BatuaError):
    """The caller is known and is not allowed to do this."""


class NotFound(BatuaError):
    """It does not exist, or the caller may not see it. The answer is the same in both cases."""


class Conflict(BatuaError):
    """The current state does not allow it."""


class TooLarge(BatuaError):
    """The request is larger than the limit."""


class TooSlow(BatuaError):
    """The request did not arrive in time."""


class UnsupportedMedia(BatuaError):
    """The format is not supported."""


@dataclass(eq=False)
class FieldError:
    """One field of the request and what is wrong with it."""

    field: str
    message: str


class Invalid(BatuaError):
    """The request can be read and breaks a rule."""


class Locked(BatuaError):
    """Locked for some time, to protect the owner."""


class TooMany(BatuaError):
    """The caller sends too many requests."""


class UpstreamFailed(BatuaError):
    """A bank did not do what was asked; nothing changed here."""


class Unavailable(BatuaError):
    """Batua cannot do this now. A later retry is safe."""
