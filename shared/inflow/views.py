"""What the inflow queries answer. Amounts are paise; days and months are those of the shop's time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from shared.calendar import Month


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
class RecentInflow:
    """What a dashboard shows, all at one moment: the summary, the latest 30 days and the latest 12 months.

    `last_month_so_far` covers as many days of last month as this month has begun; all of it where it is shorter.
    """

    today: date
    summary: InflowSummary
    last_month_so_far: Inflow
    daily: DailyInflow
    monthly: MonthlyInflow
