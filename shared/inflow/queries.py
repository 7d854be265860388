"""What a shop received, by its own days and months.

Inflow is the payments of customers: transfers of kind `payment` to the shop's account. Money the shop adds itself (an
on-ramp), a reversed payout and a refund do not change it. Every query raises ValueError for an owner without a shop.
`history` is where to read what was received, if not where the shop's profile is.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from uuid import UUID
from zoneinfo import ZoneInfo

from shared import calendar, clock
from shared.calendar import ONE_DAY, Month, start_of
from shared.db.reads import Source, fetch
from shared.inflow import ranges
from shared.inflow.rollups import inflow_between, inflow_of_quarter_until, quarter_of
from shared.inflow.spans import span_of
from shared.inflow.views import DailyInflow, Inflow, InflowSummary, MonthlyInflow, Overview

_ACCOUNT = """
    SELECT account.id, shop.timezone FROM accounts account JOIN merchants shop ON shop.id = account.owner_id
    WHERE account.owner_id = $1 AND account.kind = 'merchant'
"""


async def summary(source: Source, merchant_id: UUID, *, history: Source | None = None) -> InflowSummary:
    """Today, yesterday, this month and last month."""
    account_id, zone = await account_and_zone(source, merchant_id)
    today = calendar.today(clock.now(), zone)
    found = await _inflow_by_start(history or source, account_id, zone, _starts_of_summary(today))
    return _summarise(found, today, zone)


async def overview(source: Source, account_id: UUID, zone: ZoneInfo) -> Overview:
    """The summary of a shop's account, and the same parts of the periods before."""
    now = clock.now()
    today = calendar.today(now, zone)
    this_month = Month.of(today)
    last_month = this_month.plus(-1).first_day
    month_so_far_ends = min(last_month + today.day * ONE_DAY, this_month.first_day)
    until = span_of("today", today).earlier_boundaries(now, zone)[1]
    part, counted_until = await inflow_of_quarter_until(source, account_id, until)
    starts = {start_of(day, zone): day for day in _starts_of_summary(today) | {month_so_far_ends}}
    boundaries = sorted({*starts, quarter_of(until)})
    inflow = await inflow_between(source, account_id, boundaries)
    by_moment = list(zip(boundaries, inflow, strict=False))
    by_start: dict[date, Inflow] = {}
    for moment, found in by_moment:
        day = calendar.today(moment, zone)
        by_start[day] = by_start.get(day, Inflow()) + found
    yesterday = start_of(today - ONE_DAY, zone)
    return Overview(
        today=today,
        summary=_summarise(by_start, today, zone),
        yesterday_so_far=sum((each for at, each in by_moment if yesterday <= at < quarter_of(until)), part),
        yesterday_until=counted_until,
        last_month_so_far=_sum(by_start, last_month, month_so_far_ends),
    )


async def daily(
    source: Source, merchant_id: UUID, *, first: date | None, last: date | None, history: Source | None = None
) -> DailyInflow:
    """By day, both ends included; by default 30 days up to today.

    Raises RangeReversed, RangeTooLong, RangeOutOfReach.
    """
    account_id, zone = await account_and_zone(source, merchant_id)
    days = ranges.days(first, last, today=calendar.today(clock.now(), zone))
    boundaries = [start_of(day, zone) for day in [*days, days[-1] + ONE_DAY]]
    found = await inflow_between(history or source, account_id, boundaries)
    return DailyInflow(zone.key, list(zip(days, found, strict=True)))


async def monthly(
    source: Source, merchant_id: UUID, *, first: Month | None, last: Month | None, history: Source | None = None
) -> MonthlyInflow:
    """By month, both ends included; by default 12 months up to this one.

    Raises RangeReversed, RangeTooLong, RangeOutOfReach.
    """
    account_id, zone = await account_and_zone(source, merchant_id)
    months = ranges.months(first, last, today=calendar.today(clock.now(), zone))
    boundaries = [start_of(month.first_day, zone) for month in [*months, months[-1].plus(1)]]
    found = await inflow_between(history or source, account_id, boundaries)
    return MonthlyInflow(zone.key, list(zip(months, found, strict=True)))


async def account_and_zone(source: Source, merchant_id: UUID) -> tuple[UUID, ZoneInfo]:
    """The account of a shop, and the zone of its days."""
    ((account_id, timezone),) = await fetch(source, _ACCOUNT, merchant_id)
    return account_id, ZoneInfo(timezone)


def _starts_of_summary(today: date) -> set[date]:
    """The first day of each period that a summary distinguishes; the last of them ends it."""
    this_month = Month.of(today)
    return {this_month.plus(-1).first_day, this_month.first_day, today - ONE_DAY, today, today + ONE_DAY}


def _summarise(by_start: Mapping[date, Inflow], today: date, zone: ZoneInfo) -> InflowSummary:
    this_month = Month.of(today)
    return InflowSummary(
        timezone=zone.key,
        today=_sum(by_start, today, today + ONE_DAY),
        yesterday=_sum(by_start, today - ONE_DAY, today),
        this_month=_sum(by_start, this_month.first_day, today + ONE_DAY),
        last_month=_sum(by_start, this_month.plus(-1).first_day, this_month.first_day),
    )


def _sum(by_start: Mapping[date, Inflow], first: date, before: date) -> Inflow:
    return sum((inflow for start, inflow in by_start.items() if first <= start < before), Inflow())


async def _inflow_by_start(
    source: Source, account_id: UUID, zone: ZoneInfo, starts: Collection[date]
) -> dict[date, Inflow]:
    """By each of these days, the inflow from its beginning to the beginning of the next of them."""
    days = sorted(starts)
    inflow = await inflow_between(source, account_id, [start_of(day, zone) for day in days])
    return dict(zip(days, inflow, strict=False))
