"""Query parameters that several routes share: times, search words, the filters of a statement."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Query
from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from shared.http.fields import SearchText, Text
from shared.ledger.rules import Direction, TransferKind
from shared.ledger.statement import Filter

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(9998, 12, 31, tzinfo=UTC)
_NO_CONTROL_CHARACTERS = r"^[^\x00-\x1f\x7f-\x9f]*$"
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_DATE_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?([Zz]|[+-]\d{2}:?\d{2})?", re.ASCII)


def _in_utc(moment: datetime) -> datetime:
    """In UTC, which is also assumed without a zone. Years before 1970 and after 9998 become those limits."""
    if moment.year <= EARLIEST.year:
        return EARLIEST
    if moment.year >= LATEST.year:
        return LATEST
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _written_out(value: Any) -> Any:
    """Reject seconds since 1970, which pydantic accepts: they are more likely a mistake."""
    if isinstance(value, str) and not (_DATE.fullmatch(value) or _DATE_TIME.fullmatch(value)):
        raise PydanticCustomError("moment", "neither a date nor an RFC 3339 time such as 2026-11-20T09:30:00Z")
    return value


def _only_a_date(value: Any) -> Any:
    if isinstance(value, str) and not _DATE.fullmatch(value):
        raise PydanticCustomError("day", "not a date such as 2026-11-20")
    return value


def _end_of_day(value: Any) -> Any:
    if isinstance(value, str) and _DATE.fullmatch(value):
        try:
            return datetime.combine(date.fromisoformat(value), time.max, tzinfo=UTC)
        except ValueError:
            return value
    return value


def none_if_blank(value: Any) -> Any:
    """None for an optional field that a form sent empty."""
    return None if isinstance(value, str) and not value.strip() else value


Day = Annotated[date, BeforeValidator(_only_a_date), Field(examples=["2026-11-20"])]
"""A date, `2026-11-20`."""
Moment = Annotated[
    datetime, BeforeValidator(_written_out), AfterValidator(_in_utc), Field(examples=["2026-11-20T09:30:00Z"])
]
"""An RFC 3339 time, or a date, which means its start in UTC."""
LastMoment = Annotated[datetime, BeforeValidator(_end_of_day), BeforeValidator(_written_out), AfterValidator(_in_utc)]
"""The same for the end of a range: a date means its end."""


def _optional_text(max_length: int) -> WithJsonSchema:
    text = {"type": "string", "maxLength": max_length, "pattern": _NO_CONTROL_CHARACTERS}
    return WithJsonSchema({"anyOf": [text, {"type": "null"}]})


OptionalText = Annotated[Text | None, BeforeValidator(none_if_blank), _optional_text(200)]
"""One line of up to 200 characters; a blank one is none."""
OptionalSearch = Annotated[SearchText | None, BeforeValidator(none_if_blank), _optional_text(64)]
"""Words to search for; nothing typed is no search."""


@dataclass(frozen=True, slots=True)
class StatementRequest:
    """Which account's lines, and which of them."""

    account_id: UUID | None
    wanted: Filter


async def _statement_query(
    *,
    account_id: Annotated[UUID | None, Query(description="A pot instead of the wallet")] = None,
    direction: Annotated[Direction | None, Query()] = None,
    kind: Annotated[TransferKind | None, Query()] = None,
    since: Annotated[
        Moment | None, Query(alias="from", description="This moment or later; a date is its start")
    ] = None,
    until: Annotated[
        LastMoment | None, Query(alias="to", description="This moment or earlier; a date is its end")
    ] = None,
    search: Annotated[OptionalSearch, Query(alias="q", description="Part of a note, a name or a wallet id")] = None,
) -> StatementRequest:
    return StatementRequest(account_id, Filter(direction, kind, since, until, search))


StatementQuery = Annotated[StatementRequest, Depends(_statement_query)]
