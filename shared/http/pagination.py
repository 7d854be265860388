"""Lists come in pages: `?limit=1..100&cursor=` → `{"items": [...], "next_cursor": null | "..."}`."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar
from uuid import UUID

from fastapi import Depends, Query
from pydantic import BaseModel

from shared.http.errors import InvalidRequest

DEFAULT_LIMIT = 20
MAX_LIMIT = 100
MAX_CURSOR_LENGTH = 256
_MAX_BIGINT = 2**63 - 1

Item = TypeVar("Item")


class Page(BaseModel, Generic[Item]):
    """One page; `next_cursor` is null on the last."""

    items: list[Item]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class PageRequest:
    """How many items, and after which one. Callers treat the cursor as opaque."""

    limit: int
    cursor: str | None

    def after_id(self) -> UUID | None:
        """The id of the last item of the page before, or None on the first page. Raises InvalidRequest."""
        text = self._position()
        if text is None:
            return None
        try:
            return UUID(text)
        except ValueError:
            raise _unreadable() from None

    def after_number(self) -> int | None:
        """The same for lists in the order of a number, such as an entry's seq. Raises InvalidRequest."""
        text = self._position()
        if text is None:
            return None
        if not (
            text.isascii() and text.isdecimal() and len(text) <= len(str(_MAX_BIGINT)) and int(text) <= _MAX_BIGINT
        ):
            raise _unreadable()
        return int(text)

    def _position(self) -> str | None:
        if self.cursor is None:
            return None
        padded = self.cursor + "=" * (-len(self.cursor) % 4)
        try:
            return base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True).decode("ascii")
        except (binascii.Error, UnicodeError):
            raise _unreadable() from None


def cursor_of(position: UUID | int) -> str:
    """The cursor that continues after `position`."""
    return base64.urlsafe_b64encode(str(position).encode("ascii")).decode("ascii").rstrip("=")


def _unreadable() -> InvalidRequest:
    return InvalidRequest.of("cursor", "not a cursor of this list")


async def _page_request(
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT,
    cursor: Annotated[str | None, Query(max_length=MAX_CURSOR_LENGTH)] = None,
) -> PageRequest:
    return PageRequest(limit, cursor)


PageQuery = Annotated[PageRequest, Depends(_page_request)]
