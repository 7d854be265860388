"""Which lines of a statement a page shows, as its address says it in both apps."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from shared.http.fields import Body
from shared.http.pagination import MAX_CURSOR_LENGTH, cursor_of
from shared.http.query_parameters import EARLIEST, LATEST, Day, OptionalSearch
from shared.ledger.rules import Direction, TransferKind
from shared.ledger.statement import Filter

RANGE_REVERSED = "This day is before From. Choose a later one, or change From"
"""At the field `until`."""


class StatementFilters(Body):
    """The fields of the form of filters. Both ends of a range of days are included; `account` is a pot's id."""

    direction: Direction | None = None
    kind: TransferKind | None = None
    since: Day | None = None
    until: Day | None = None
    q: OptionalSearch = None
    account: UUID | None = None
    cursor: Annotated[str, Field(max_length=MAX_CURSOR_LENGTH)] | None = None

    @field_validator("until")
    @classmethod
    def _is_not_before_since(cls, until: Day | None, others: ValidationInfo) -> Day | None:
        since = others.data.get("since")
        if since is not None and until is not None and until < since:
            raise PydanticCustomError("range_reversed", RANGE_REVERSED)
        return until

    @property
    def given(self) -> dict[str, str]:
        """The filters that are set, by field, without the cursor."""
        return self.model_dump(mode="json", exclude={"cursor"}, exclude_none=True)

    def wanted(self, zone: ZoneInfo) -> Filter:
        """The filter as the ledger reads it: days become moments in `zone`."""
        since = None if self.since is None else _moment(self.since, time.min, zone)
        until = None if self.until is None else _moment(self.until, time.max, zone)
        return Filter(self.direction, self.kind, since, until, self.q)

    def csv_path(self, zone: ZoneInfo) -> str:
        """The address of the same lines as CSV for a spreadsheet."""
        return _path("/api/v1/transactions.csv", {**self._asked_of_the_api(zone), "bom": "true"})

    def xlsx_path(self, zone: ZoneInfo) -> str:
        """The address of the same lines as a workbook, with their sums."""
        return _path("/api/v1/transactions.xlsx", {**self._asked_of_the_api(zone), "totals": "true"})

    def _asked_of_the_api(self, zone: ZoneInfo) -> dict[str, str]:
        """The filters as the API's parameters, some of which have other names."""
        wanted = self.wanted(zone)
        asked = {name: value for name, value in self.given.items() if name not in {"since", "until", "account"}}
        moments = {"from": wanted.since, "to": wanted.until}
        asked |= {name: moment.isoformat() for name, moment in moments.items() if moment is not None}
        if self.account is not None:
            asked["account_id"] = str(self.account)
        return asked

    def newest_path(self, path: str) -> str:
        """The address of the newest lines."""
        return _path(path, self.given)

    def older_path(self, path: str, before_seq: int) -> str:
        """The address of the lines before `before_seq`."""
        return _path(path, {**self.given, "cursor": cursor_of(before_seq)})


def _path(path: str, query: dict[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def _moment(day: date, at: time, zone: ZoneInfo) -> datetime:
    """That time of `day` in `zone`, within EARLIEST and LATEST: a date far beyond them has no moment in every zone."""
    if day.year <= EARLIEST.year:
        return EARLIEST
    return LATEST if day.year >= LATEST.year else datetime.combine(day, at, tzinfo=zone)
