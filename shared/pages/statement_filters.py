"""Which lines of a statement a page shows, as its address says it in both apps: days are those of the reader's zone."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Annotated
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from pydantic import Field

from shared.http.fields import Body
from shared.http.pagination import MAX_CURSOR_LENGTH, cursor_of
from shared.http.query_parameters import EARLIEST, LATEST, Day, OptionalSearch
from shared.ledger.rules import Direction, TransferKind
from shared.ledger.statement import Filter


class StatementFilters(Body):
    """What a form of filters sends; days are included at both ends."""

    direction: Direction | None = None
    kind: TransferKind | None = None
    since: Day | None = None
    until: Day | None = None
    q: OptionalSearch = None
    cursor: Annotated[str, Field(max_length=MAX_CURSOR_LENGTH)] | None = None

    @property
    def given(self) -> dict[str, str]:
        """What of the address says which lines, without where in them one is."""
        return self.model_dump(mode="json", exclude={"cursor"}, exclude_none=True)

    def wanted(self, zone: ZoneInfo) -> Filter:
        """As the statement reads it, in moments."""
        since = None if self.since is None else _moment(self.since, time.min, zone)
        until = None if self.until is None else _moment(self.until, time.max, zone)
        return Filter(self.direction, self.kind, since, until, self.q)

    def csv_path(self, zone: ZoneInfo, **more: str) -> str:
        """Where the same lines are had as CSV; `more` is asked for besides."""
        wanted = self.wanted(zone)
        moments = {"from": wanted.since, "to": wanted.until}
        asked = {name: value for name, value in self.given.items() if name not in {"since", "until"}} | more
        asked |= {name: moment.isoformat() for name, moment in moments.items() if moment is not None}
        return _path("/api/v1/transactions.csv", asked)

    def first_path(self, path: str) -> str:
        """The page with the newest lines."""
        return _path(path, self.given)

    def next_path(self, path: str, before_seq: int) -> str:
        """The page with the lines before that one."""
        return _path(path, {**self.given, "cursor": cursor_of(before_seq)})


def _path(path: str, query: dict[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def _moment(day: date, at: time, zone: ZoneInfo) -> datetime:
    """That time of the day there; days so far away that nothing happens on them are as good as the bounds."""
    if day.year <= EARLIEST.year:
        return EARLIEST
    return LATEST if day.year >= LATEST.year else datetime.combine(day, at, tzinfo=zone)
