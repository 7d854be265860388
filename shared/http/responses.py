"""JSON answers written without a model: a list of twenty costs more to validate than to read.

A test compares each with the model that its route documents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from fastapi import Response
from pydantic_core import to_json

from shared.clock import Timespec, rfc3339
from shared.http.pagination import cursor_of

JSON = "application/json"


def json_response(body: Mapping[str, Any], *, status: int = 200) -> Response:
    """An object; times and enums are written as a model writes them. Ids are text: the driver's take to_json long."""
    return Response(to_json(body), status, media_type=JSON)


def page_response(
    items: Sequence[Mapping[str, Any]], next_before: UUID | int | None, more: Mapping[str, Any] | None = None
) -> Response:
    """A `Page`; `next_before` is where the next one begins, None on the last. `more` are further members."""
    cursor = None if next_before is None else cursor_of(next_before)
    return json_response({"items": items, "next_cursor": cursor, **(more or {})})


def written_page_response(items: str, next_before: UUID | int | None, more: str = "") -> Response:
    """The same of items that are JSON already, with commas between them; `more` begins with a comma."""
    cursor = "null" if next_before is None else f'"{cursor_of(next_before)}"'
    return Response(f'{{"items":[{items}],"next_cursor":{cursor}{more}}}', media_type=JSON)


def time_text(moment: datetime | None, timespec: Timespec) -> str | None:
    """The moment as `rfc3339` writes it; None stays None."""
    return None if moment is None else rfc3339(moment, timespec)
