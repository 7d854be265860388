"""What a shop took in, by its own days and months.

Inflow is what people paid: transfers of kind `payment` to the shop's account. Money the shop brought in itself
(an on-ramp, a payout sent back) is not inflow, and a refund does not lessen the day it is about. Amounts in paise.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from shared import calendar, clock
from shared.calendar import ONE_DAY, Month, start_of
from shared.inflow import ranges
from shared.inflow.rollups import taken_between
from shared.models import Account, Merchant


@dataclass(frozen=True, slots=True)
class Taken:
    """Paise and number of payments."""

    amount: int = 0
    count: int = 0

    @property
    def average(self) -> int:
        """Paise per payment, half a paisa rounded up; 0 for none."""
        return (2 * self.amount + self.count) // (2 * self.count) if self.count else 0

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


@dataclass(frozen=True, slots=True)
class Overview:
    """What a dashboard shows, all of one moment: now, the latest 30 days and the latest 12 months.

    `last_month_so_far` are as many days of last month as this month has begun; all of it where it was shorter.
    """

    today: date
    summary: Summary
    last_month_so_far: Taken
    daily: DailyInflow
    monthly: MonthlyInflow


async def summary(session: AsyncSession, merchant_id: UUID) -> Summary:
    """Today, yesterday, this month and last month."""
    account_id, zone = await _shop(session, merchant_id)
    today = calendar.today(clock.now(), zone)
    return _summarise(await _taken_by_start(session, account_id, zone, _summary_starts(today)), today, zone)


async def overview(session: AsyncSession, merchant_id: UUID) -> Overview:
    """The summary, the latest days and the latest months in one look, which costs little more than one of them."""
    account_id, zone = await _shop(session, merchant_id)
    today = calendar.today(clock.now(), zone)
    days = ranges.days(None, None, today=today)
    months = ranges.months(None, None, today=today)
    last_month, this_month = months[-2].first_day, months[-1].first_day
    as_far = min(last_month + today.day * ONE_DAY, this_month)
    starts = _summary_starts(today) | {*days, *(month.first_day for month in months), months[-1].plus(1).first_day}
    starts.add(as_far)
    taken = await _taken_by_start(session, account_id, zone, starts)
    return Overview(
        today=today,
        summary=_summarise(taken, today, zone),
        last_month_so_far=_between(taken, last_month, as_far),
        daily=DailyInflow(zone.key, [(day, _between(taken, day, day + ONE_DAY)) for day in days]),
        monthly=MonthlyInflow(
            zone.key, [(month, _between(taken, month.first_day, month.plus(1).first_day)) for month in months]
        ),
    )


async def daily(session: AsyncSession, merchant_id: UUID, *, first: date | None, last: date | None) -> DailyInflow:
    """By day, both ends included; by default 30 days up to today.

    Raises RangeReversed, RangeTooLong, RangeOutOfReach.
    """
    account_id, zone = await _shop(session, merchant_id)
    days = ranges.days(first, last, today=calendar.today(clock.now(), zone))
    boundaries = [start_of(day, zone) for day in [*days, days[-1] + ONE_DAY]]
    return DailyInflow(zone.key, list(zip(days, await _taken(session, account_id, boundaries), strict=True)))


async def monthly(
    session: AsyncSession, merchant_id: UUID, *, first: Month | None, last: Month | None
) -> MonthlyInflow:
    """By month, both ends included; 12 months up to this one by default. Raises as `daily`."""
    account_id, zone = await _shop(session, merchant_id)
    months = ranges.months(first, last, today=calendar.today(clock.now(), zone))
    boundaries = [start_of(month.first_day, zone) for month in [*months, months[-1].plus(1)]]
    return MonthlyInflow(zone.key, list(zip(months, await _taken(session, account_id, boundaries), strict=True)))


async def _shop(session: AsyncSession, merchant_id: UUID) -> tuple[UUID, ZoneInfo]:
    statement = (
        select(Account.id, Merchant.timezone)
        .join(Merchant, Merchant.id == Account.owner_id)
        .where(Account.owner_id == merchant_id, Account.kind == "merchant")
    )
    row = (await session.execute(statement)).one()
    return row.id, ZoneInfo(row.timezone)


def _summary_starts(today: date) -> set[date]:
    """The days with which what a summary tells apart begins; the last one ends it."""
    this_month = Month.of(today)
    return {this_month.plus(-1).first_day, this_month.first_day, today - ONE_DAY, today, today + ONE_DAY}


def _summarise(taken: Mapping[date, Taken], today: date, zone: ZoneInfo) -> Summary:
    this_month = Month.of(today)
    return Summary(
        timezone=zone.key,
        today=_between(taken, today, today + ONE_DAY),
        yesterday=_between(taken, today - ONE_DAY, today),
        this_month=_between(taken, this_month.first_day, today + ONE_DAY),
        last_month=_between(taken, this_month.plus(-1).first_day, this_month.first_day),
    )


def _between(taken: Mapping[date, Taken], first: date, before: date) -> Taken:
    return sum((part for start, part in taken.items() if first <= start < before), Taken())


async def _taken_by_start(
    session: AsyncSession, account_id: UUID, zone: ZoneInfo, starts: Collection[date]
) -> dict[date, Taken]:
    """What came in from the beginning of each of these days to that of the next."""
    days = sorted(starts)
    return dict(zip(days, await _taken(session, account_id, [start_of(day, zone) for day in days]), strict=False))


async def _taken(session: AsyncSession, account_id: UUID, boundaries: Sequence[datetime]) -> list[Taken]:
    return [Taken(amount, count) for amount, count in await taken_between(session, account_id, boundaries)]
