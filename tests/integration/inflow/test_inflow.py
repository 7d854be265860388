"""A shop's inflow, compared with adding up its payments by hand."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared import clock
from shared.calendar import Month
from shared.db.engine import SessionMaker
from shared.ids import new_id
from shared.inflow import queries
from shared.inflow.views import Inflow
from shared.ledger.post import post_one
from shared.ledger.rules import Transfer, TransferKind
from tests.support.shops import open_shop, owner_of, pay

ZONES = ["Asia/Kolkata", "Europe/Berlin", "Africa/Cairo", "America/Havana", "Pacific/Kiritimati", "America/St_Johns"]
NOW = datetime(2026, 11, 1, 20, 30, tzinfo=UTC)

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
CHANGES = [datetime(2026, month, day, tzinfo=UTC) for month, day in ((3, 29), (4, 24), (10, 25), (11, 1))]
"""Around these days clocks change somewhere in ZONES."""
DAY_SECONDS = 86_400

moments = st.one_of(
    st.timedeltas(timedelta(0), timedelta(days=365)).map(lambda passed: NEW_YEAR + passed),
    st.builds(
        lambda day, seconds: day + timedelta(seconds=seconds),
        st.sampled_from(CHANGES),
        st.integers(-DAY_SECONDS, DAY_SECONDS),
    ),
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(ZONES), st.lists(st.tuples(moments, st.integers(1, 10_000)), max_size=12))
async def test_days_and_months_agree_with_adding_up_by_hand(
    sessionmaker: SessionMaker, zone: str, payments: list[tuple[datetime, int]]
) -> None:
    shop = await open_shop(sessionmaker, zone)
    by_day: Counter[date] = Counter()
    by_month: Counter[str] = Counter()
    for at, amount in sorted(payments):
        await pay(sessionmaker, shop.id, amount, at)
        local = at.astimezone(ZoneInfo(zone)).date()
        by_day[local] += amount
        by_month[f"{local:%Y-%m}"] += amount

    async with sessionmaker() as session:
        first, last = date(2026, 1, 1), date(2026, 12, 31)
        daily = await queries.daily(session, owner_of(shop), first=first, last=last)
        monthly = await queries.monthly(session, owner_of(shop), first=Month(2025, 12), last=Month(2027, 1))

    assert daily.timezone == monthly.timezone == zone
    assert len(daily.items) == 365
    assert len(monthly.items) == 14
    assert {day: inflow.amount for day, inflow in daily.items if inflow.count} == {
        day: amount for day, amount in by_day.items() if day.year == 2026
    }
    assert {str(month): inflow.amount for month, inflow in monthly.items if inflow.count} == by_month
    assert sum(inflow.count for _, inflow in monthly.items) == len(payments)


async def test_the_periods_of_the_summary_are_those_of_the_shops_zone(sessionmaker: SessionMaker) -> None:
    shop = await open_shop(sessionmaker, "Asia/Kolkata")  # it is 2 November there already
    local = ZoneInfo("Asia/Kolkata")
    for amount, at in [
        (1, datetime(2026, 9, 30, 23, 59, tzinfo=local)),
        (20, datetime(2026, 10, 1, 0, 0, tzinfo=local)),
        (300, datetime(2026, 10, 31, 23, 59, 59, 999_999, tzinfo=local)),
        (4_000, datetime(2026, 11, 1, 0, 0, tzinfo=local)),
        (50_000, datetime(2026, 11, 2, 0, 0, tzinfo=local)),
        (50_003, datetime(2026, 11, 2, 1, 30, tzinfo=local)),
    ]:
        await pay(sessionmaker, shop.id, amount, at.astimezone(UTC))

    with clock.reading(lambda: NOW):
        async with sessionmaker() as session:
            summary = await queries.summary(session, owner_of(shop))

    assert summary.today == Inflow(100_003, 2)
    assert summary.today.average == 50_002  # half a paisa is rounded up
    assert summary.yesterday == Inflow(4_000, 1)
    assert summary.this_month == Inflow(104_003, 3)
    assert summary.last_month == Inflow(320, 2)


async def test_on_the_first_of_a_month_yesterday_belongs_to_the_last(sessionmaker: SessionMaker) -> None:
    shop = await open_shop(sessionmaker, "America/New_York")
    await pay(sessionmaker, shop.id, 7, NOW - timedelta(days=1))
    await pay(sessionmaker, shop.id, 5, NOW - timedelta(minutes=1))

    with clock.reading(lambda: NOW):
        async with sessionmaker() as session:
            summary = await queries.summary(session, owner_of(shop))

    assert (summary.today, summary.this_month) == (Inflow(5, 1), Inflow(5, 1))
    assert (summary.yesterday, summary.last_month) == (Inflow(7, 1), Inflow(7, 1))


@pytest.mark.parametrize("kind", ["funding", "onramp", "payout_reversal", "adjustment"])
async def test_only_payments_count(sessionmaker: SessionMaker, kind: TransferKind) -> None:
    shop = await open_shop(sessionmaker)
    await pay(sessionmaker, shop.id, 100, NOW - timedelta(minutes=2), kind)
    with clock.reading(lambda: NOW):
        async with sessionmaker() as session:
            summary = await queries.summary(session, owner_of(shop))
            daily = await queries.daily(session, owner_of(shop), first=None, last=None)
    assert summary.this_month == Inflow()
    assert len(daily.items) == 30
    assert all(inflow == Inflow() for _, inflow in daily.items)


async def test_what_a_shop_pays_to_another_is_the_inflow_of_the_other(sessionmaker: SessionMaker) -> None:
    shop, other = await open_shop(sessionmaker), await open_shop(sessionmaker)
    await pay(sessionmaker, shop.id, 100, NOW - timedelta(minutes=2))
    with clock.reading(lambda: NOW - timedelta(minutes=1)):
        async with sessionmaker.begin() as session:
            await post_one(session, Transfer(new_id(), "payment", shop.id, other.id, 40))
    with clock.reading(lambda: NOW):
        async with sessionmaker() as session:
            assert (await queries.summary(session, owner_of(shop))).today == Inflow(100, 1)
            assert (await queries.summary(session, owner_of(other))).today == Inflow(40, 1)
