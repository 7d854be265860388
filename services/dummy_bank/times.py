"""The type of a time in a request: RFC 3339 text, in a query parameter or in a JSON body."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime, BeforeValidator, Field


def _only_rfc_3339(value: object) -> object:
    """Reject what pydantic would also read: a number as seconds since 1970, and a date alone."""
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or "T" not in value.upper():
        raise ValueError("not a time in RFC 3339")
    return value


Time = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_only_rfc_3339)]
"""An aware datetime. `strict=False` reads the text in models that are strict otherwise."""
