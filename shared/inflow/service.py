"""What a shop took in, by its own days and months.

Inflow is what people paid: transfers of kind `payment` to the shop's account. Money the shop brought in itself
(an on-ramp, a payout sent back) is not inflow, and a refund does not lessen the day it is about. Amounts in paise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.inflow import calendar
from shared.inflow.calendar import Month, start_of
from shared.inflow.rollups import taken_between
from shared.ledger.accounts import wallet_of
from shared.models import Merchant

_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Taken:
    """Paise and number of payments."""

    amount: int = 0
    count: int = 0

    @property
    def average(self) -> int:
        """Paise per payment, half a paisa rounded up; 0 for none."""
        return calendar.average(self.amount, self.count)

    def __add__(self, other: Taken) -> Taken:
        return Taken(self.amount + other.amount, self.count + other.count)


@dataclass(frozen=True, slots=True)
class Summary:
    """The shop's present days and months; each stands for all of it so far."""

    timezone: str
    today: Taken
    yesterday: Taken
    this_month: Taken
    last_month: Taken


@dataclass(frozen=True, slots=True)
class DailyInflow:
    """Every day of the range, also those without a payment."""

    timezone: str
    items: list[tuple[date, Taken]]


@dataclass(frozen=True, slots=True)
class MonthlyInflow:
    """Every month of the range, also those without a payment."""

    timezone: str
    items: list[tuple[Month, Taken]]


async def summary(session: AsyncSession, merchant_id: UUID) -> Summary:
    """Today, yesterday, this month and last month."""
    account_id, zone = await _shop(session, merchant_id)
    today = calendar.today(clock.now(), zone)
    yesterday, this_month = today - _ONE_DAY, Month.of(today)
    last_month = this_month.plus(-1)
    days = sorted({last_month.first_day, this_month.first_day, yesterday, today, today + _ONE_DAY})
    taken = dict(zip(days, await _taken(session, account_id, [start_of(day, zone) for day in days]), strict=False))

    def since(first: date, before: date) -> Taken:
        return sum((part for day, part in taken.items() if first <= day < before), Taken())

    return Summary(
        timezone=zone.key,
        today=since(today, today + _ONE_DAY),
        yesterday=since(yesterday, today),
        this_month=since(this_month.first_day, today + _ONE_DAY),
        last_month=since(last_month.first_day, this_month.first_day),
    )


async def daily(session: AsyncSession, merchant_id: UUID, *, first: date | None, last: date | None) -> DailyInflow:
    """By day, both ends included; by default 30 days up to today.

    Raises RangeReversed, RangeTooLong, RangeOutOfReach.
    """
    account_id, zone = await _shop(session, merchant_id)
    days = calendar.days(first, last, today=calendar.today(clock.now(), zone))
    boundaries = [start_of(day, zone) for day in [*days, days[-1] + _ONE_DAY]]
    return DailyInflow(zone.key, list(zip(days, await _taken(session, account_id, boundaries), strict=True)))


async def monthly(
    session: AsyncSession, merchant_id: UUID, *, first: Month | None, last: Month | None
) -> MonthlyInflow:
    """By month, both ends included; 12 months up to this one by default. Raises as `daily`."""
    account_id, zone = await _shop(session, merchant_id)
    months = calendar.months(first, last, today=calendar.today(clock.now(), zone))
    boundaries = [start_of(month.first_day, zone) for month in [*months, months[-1].plus(1)]]
    return MonthlyInflow(zone.key, list(zip(months, await _taken(session, account_id, boundaries), strict=True)))


async def _shop(session: AsyncSession, merchant_id: UUID) -> tuple[UUID, ZoneInfo]:
    account = await wallet_of(session, merchant_id)
    merchant = await session.get_one(Merchant, merchant_id)
    return account.id, ZoneInfo(merchant.timezone)


async def _taken(session: AsyncSession, account_id: UUID, boundaries: Sequence[datetime]) -> list[Taken]:
    return [Taken(amount, count) for amount, count in await taken_between(session, account_id, boundaries)]
