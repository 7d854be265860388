"""What the inflow queries answer. Amounts are paise; days and months are those of the shop's time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime

from shared.calendar import Month
from shared.inflow.spans import Span
from shared.ledger.parties import Party


@dataclass(frozen=True, slots=True)
class Inflow:
    """The payments that a shop received in a period: their sum and their number."""

    amount: int = 0
    count: int = 0

    @property
    def average(self) -> int:
        """Paise per payment, half a paisa rounded up; 0 without payments."""
        return (2 * self.amount + self.count) // (2 * self.count) if self.count else 0

    def __add__(self, other: Inflow) -> Inflow:
        return Inflow(self.amount + other.amount, self.count + other.count)


@dataclass(frozen=True, slots=True)
class InflowSummary:
    """Four periods: today and this month up to now, yesterday and last month as a whole."""

    timezone: str
    today: Inflow
    yesterday: Inflow
    this_month: Inflow
    last_month: Inflow


@dataclass(frozen=True, slots=True)
class DailyInflow:
    """Every day of a range, oldest first; a day without payments is zero."""

    timezone: str
    items: list[tuple[date, Inflow]]


@dataclass(frozen=True, slots=True)
class MonthlyInflow:
    """Every month of a range, oldest first; a month without payments is zero."""

    timezone: str
    items: list[tuple[Month, Inflow]]


@dataclass(frozen=True, slots=True)
class Overview:
    """The summary, and the same parts of the periods before: of yesterday, and of last month.

    `yesterday_so_far` ends at `yesterday_until`, the present time of day. `last_month_so_far` covers as many days of
    last month as this month has begun; all of it where it is shorter.
    """

    today: date
    summary: InflowSummary
    yesterday_so_far: Inflow
    yesterday_until: datetime
    last_month_so_far: Inflow


@dataclass(frozen=True, slots=True)
class Refunds:
    """What the shop gave back: paise and number. Unless `is_complete` there were more, and older ones are left out."""

    amount: int = 0
    count: int = 0
    is_complete: bool = True


@dataclass(frozen=True, slots=True)
class Customer:
    """One who paid the shop, and what they paid; refunds are not taken off."""

    party: Party
    inflow: Inflow


@dataclass(frozen=True, slots=True)
class TopCustomers:
    """Who paid most, the largest sum first, among the newest `payments` payments of the range."""

    items: list[Customer]
    payments: int


@dataclass(frozen=True, slots=True)
class Report:
    """What a shop received in a range of days, with the earlier days beside it.

    `steps` are the days of the range, or the months when `is_by_month`, each by its first day. `hours` are the 24
    hours of the day. `earlier` ends at `earlier_until`.
    """

    timezone: str
    span: Span
    total: Inflow
    earlier: Inflow
    earlier_until: datetime
    is_under_way: bool
    is_by_month: bool
    steps: list[tuple[date, Inflow]]
    hours: list[Inflow]
    refunds: Refunds
    customers: TopCustomers
