"""What the shop received, by its own days and months."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from shared import calendar, clock
from shared.auth.sessions import SignedIn
from shared.calendar import Month
from shared.db.reads import Reads
from shared.http.dependencies import CurrentResources, SignedInCaller
from shared.http.problems import problem_responses
from shared.http.query_parameters import Day
from shared.http.receipts import PartyOut
from shared.inflow import queries
from shared.inflow.errors import RangeNotBegun, RangeOutOfReach, RangeReversed, RangeTooLong
from shared.inflow.report import report
from shared.inflow.spans import Preset, span_between, span_of
from shared.inflow.views import Inflow, Report
from shared.runtime.resources import Resources

router = APIRouter(prefix="/inflow", tags=["inflow"])

MONTH_PATTERN = "^[0-9]{4}-(0[1-9]|1[0-2])$"
RANGE_ERRORS = (RangeReversed, RangeTooLong, RangeOutOfReach)


class InflowOut(BaseModel):
    """Payments received: paise, their number, and paise per payment (half a paisa rounded up; 0 without payments)."""

    amount: int
    count: int
    average: int

    model_config = ConfigDict(json_schema_extra={"examples": [{"amount": 30000, "count": 2, "average": 15000}]})


class SummaryOut(BaseModel):
    """Today and this month up to now, yesterday and last month, in the shop's time zone."""

    timezone: str
    today: InflowOut
    yesterday: InflowOut
    this_month: InflowOut
    last_month: InflowOut


class DayOut(BaseModel):
    """One day; amount in paise."""

    date: dt.date
    amount: int
    count: int


class DailyOut(BaseModel):
    """Every day of the range, oldest first; a day without payments is zero."""

    timezone: str = Field(examples=["Asia/Kolkata"])
    items: list[DayOut]


class MonthOut(BaseModel):
    """One month; amount in paise."""

    month: str = Field(pattern=MONTH_PATTERN, examples=["2026-11"])
    amount: int
    count: int


class MonthlyOut(BaseModel):
    """Every month of the range, oldest first; a month without payments is zero."""

    timezone: str = Field(examples=["Asia/Kolkata"])
    items: list[MonthOut]


class EarlierOut(BaseModel):
    """The days before: as many, or the month or year before."""

    first_day: dt.date
    last_day: dt.date
    until: dt.datetime
    received: InflowOut


class HourOut(BaseModel):
    """One hour of the day; amount in paise."""

    hour: int = Field(ge=0, le=23)
    amount: int
    count: int


class RefundsOut(BaseModel):
    """Refunds of these days; amount in paise."""

    amount: int
    count: int
    complete: bool


class CustomerOut(BaseModel):
    """One who paid, and what; amount in paise."""

    counterparty: PartyOut
    amount: int
    count: int


class CustomersOut(BaseModel):
    """The customers who paid most."""

    items: list[CustomerOut]
    payments: int


class ReportOut(BaseModel):
    """A range of days: beside the days before, by hour, what was given back, and from whom the money came."""

    timezone: str = Field(examples=["Asia/Kolkata"])
    first_day: dt.date
    last_day: dt.date
    received: InflowOut
    before: EarlierOut
    hours: list[HourOut]
    refunds: RefundsOut
    customers: CustomersOut


@router.get("/report", responses=problem_responses(*RANGE_ERRORS, RangeNotBegun))
async def get_inflow_report(
    caller: SignedInCaller,
    resources: CurrentResources,
    preset: Annotated[
        Preset | None, Query(alias="range", description="Instead of `from` and `to`, which take precedence")
    ] = None,
    first: Annotated[Day | None, Query(alias="from", description="30 days up to `to` by default")] = None,
    last: Annotated[Day | None, Query(alias="to", description="Included; today by default, and at the latest")] = None,
) -> ReportOut:
    """What a range of at most 366 days brought, beside the days before."""
    account_id, zone = await queries.account_and_zone(resources.reads, caller.identity.owner_id)
    today = calendar.today(clock.now(), zone)
    has_days = first is not None or last is not None
    span = span_between(first, last, today=today) if preset is None or has_days else span_of(preset, today)
    return _report_out(await report(_history(caller, resources), account_id, zone, span))


@router.get("/summary")
async def get_inflow_summary(caller: SignedInCaller, resources: CurrentResources) -> SummaryOut:
    """Payments received today, yesterday, this month and last month."""
    summary = await queries.summary(resources.reads, caller.identity.owner_id, history=_history(caller, resources))
    return SummaryOut(
        timezone=summary.timezone,
        today=_shown(summary.today),
        yesterday=_shown(summary.yesterday),
        this_month=_shown(summary.this_month),
        last_month=_shown(summary.last_month),
    )


@router.get("/daily", responses=problem_responses(*RANGE_ERRORS))
async def get_daily_inflow(
    caller: SignedInCaller,
    resources: CurrentResources,
    first: Annotated[Day | None, Query(alias="from", description="30 days up to `to` by default")] = None,
    last: Annotated[Day | None, Query(alias="to", description="Included; today by default")] = None,
) -> DailyOut:
    """Payments received by day; at most 366 days at once."""
    daily = await queries.daily(
        resources.reads, caller.identity.owner_id, first=first, last=last, history=_history(caller, resources)
    )
    items = [DayOut(date=day, amount=inflow.amount, count=inflow.count) for day, inflow in daily.items]
    return DailyOut(timezone=daily.timezone, items=items)


@router.get("/monthly", responses=problem_responses(*RANGE_ERRORS))
async def get_monthly_inflow(
    caller: SignedInCaller,
    resources: CurrentResources,
    first: Annotated[
        str | None, Query(alias="from", pattern=MONTH_PATTERN, description="`2026-11`; 12 months up to `to` by default")
    ] = None,
    last: Annotated[
        str | None, Query(alias="to", pattern=MONTH_PATTERN, description="Included; this month by default")
    ] = None,
) -> MonthlyOut:
    """Payments received by month; at most 60 months at once."""
    monthly = await queries.monthly(
        resources.reads,
        caller.identity.owner_id,
        first=_month(first),
        last=_month(last),
        history=_history(caller, resources),
    )
    items = [MonthOut(month=str(month), amount=inflow.amount, count=inflow.count) for month, inflow in monthly.items]
    return MonthlyOut(timezone=monthly.timezone, items=items)


def _history(caller: SignedIn, resources: Resources) -> Reads:
    return resources.history(caller.wallet.account_id, caller.wallet.seq)


def _month(text: str | None) -> Month | None:
    if text is None:
        return None
    year, _, number = text.partition("-")
    return Month(int(year), int(number))


def _shown(inflow: Inflow) -> InflowOut:
    return InflowOut(amount=inflow.amount, count=inflow.count, average=inflow.average)


def _report_out(found: Report) -> ReportOut:
    span, customers = found.span, found.customers
    return ReportOut(
        timezone=found.timezone,
        first_day=span.first,
        last_day=span.last,
        received=_shown(found.total),
        before=EarlierOut(
            first_day=span.earlier_first,
            last_day=span.earlier_last,
            until=found.earlier_until,
            received=_shown(found.earlier),
        ),
        hours=[HourOut(hour=hour, amount=each.amount, count=each.count) for hour, each in enumerate(found.hours)],
        refunds=RefundsOut(amount=found.refunds.amount, count=found.refunds.count, complete=found.refunds.is_complete),
        customers=CustomersOut(
            items=[
                CustomerOut(
                    counterparty=PartyOut.of(each.party),
                    amount=each.inflow.amount,
                    count=each.inflow.count,
                )
                for each in customers.items
            ],
            payments=customers.payments,
        ),
    )
