"""Roll-ups change what a report costs, never what it says, whenever they are made."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError

from shared import clock
from shared.calendar import Month, start_of
from shared.db.engine import SessionMaker
from shared.inflow import commands, queries
from shared.inflow.commands import roll_up_all
from shared.inflow.report import report
from shared.inflow.spans import span_of
from shared.inflow.views import Inflow
from shared.ledger.rules import TransferKind
from shared.models import Account, InflowRollup, InflowWatermark
from shared.proof.prove import prove
from tests.support import factories
from tests.support.shops import open_shop, owner_of, pay, roll_up, rolling_up_at_most

# Offsets of :00, :30 and :45; clocks changed by an hour, by half an hour, at midnight; both ends of the world.
ZONES = [
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Pacific/Chatham",
    "Australia/Lord_Howe",
    "Australia/Eucla",
    "America/St_Johns",
    "America/Havana",
    "Africa/Cairo",
    "Europe/Berlin",
    "Pacific/Kiritimati",
    "Pacific/Pago_Pago",
]
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
CHANGES = [datetime(2026, month, day, tzinfo=UTC) for month, day in ((4, 4), (4, 24), (9, 26), (10, 3), (10, 25))]


@dataclass(frozen=True)
class Payment:
    at: datetime
    amount: int
    kind: TransferKind


@dataclass(frozen=True)
class RollUp:
    """A roll-up of at most so many entries."""

    entries: int


moments = st.one_of(
    st.timedeltas(timedelta(0), timedelta(days=320)).map(lambda passed: NOON - passed),
    st.builds(
        lambda day, seconds: day + timedelta(seconds=seconds), st.sampled_from(CHANGES), st.integers(-99_999, 99_999)
    ),
    # The very edges of quarters, where days may begin.
    st.builds(
        lambda count, off: NOON - count * QUARTER + timedelta(microseconds=off),
        st.integers(1, 20_000),
        st.sampled_from([-1, 0, 1]),
    ),
)
kinds = st.sampled_from(["payment", "payment", "payment", "funding", "onramp"])
amounts = st.integers(1, 10**9)


def around_midnight(zone: str) -> st.SearchStrategy[datetime]:
    """The edges of this zone's days: a moment off, the payment is on another one."""
    days = st.dates(date(2026, 1, 2), date(2026, 11, 20))
    offs = st.sampled_from([timedelta(0), -timedelta(microseconds=1), timedelta(minutes=14), -timedelta(minutes=14)])
    return st.builds(lambda day, off: start_of(day, ZoneInfo(zone)) + off, days, offs)


def histories(zone: str) -> st.SearchStrategy[tuple[str, list[Payment | RollUp]]]:
    ats = st.booleans().flatmap(lambda is_edge: around_midnight(zone) if is_edge else moments)
    paid = st.builds(Payment, ats, amounts, kinds)
    steps = st.lists(st.one_of(paid, st.builds(RollUp, st.integers(1, 4))), max_size=24)
    return st.tuples(
        st.just(zone), st.builds(lambda before, last: [*before, last], steps, st.builds(RollUp, st.just(9)))
    )


def by_hand(history: list[Payment], zone: str) -> dict[date, Inflow]:
    days: dict[date, Inflow] = {}
    for payment in history:
        if payment.kind == "payment":
            day = payment.at.astimezone(ZoneInfo(zone)).date()
            days[day] = days.get(day, Inflow()) + Inflow(payment.amount, 1)
    return days


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(ZONES).flatmap(histories))
@example(("Asia/Kathmandu", [Payment(datetime(2026, 5, 4, 18, 15, tzinfo=UTC), 5, "payment"), RollUp(1)]))
@example(("Asia/Kolkata", [Payment(datetime(2026, 5, 4, 18, 30, tzinfo=UTC), 5, "payment"), RollUp(1)]))
async def test_reports_equal_the_ledger_whenever_roll_ups_run(
    sessionmaker: SessionMaker, zone_and_steps: tuple[str, list[Payment | RollUp]]
) -> None:
    zone, steps = zone_and_steps
    shop = await open_shop(sessionmaker, zone)
    history: list[Payment] = []
    for step in steps:
        if isinstance(step, Payment):
            await pay(sessionmaker, shop.id, step.amount, step.at, step.kind)
            history.append(step)
        else:
            with rolling_up_at_most(step.entries):
                await roll_up(sessionmaker, shop.id)

    expected = by_hand(history, zone)
    with clock.reading(lambda: NOON):
        async with sessionmaker() as session:
            first, last = date(2025, 12, 1), date(2026, 12, 1)
            daily = await queries.daily(session, owner_of(shop), first=first, last=last)
            monthly = await queries.monthly(session, owner_of(shop), first=Month(2025, 12), last=Month(2026, 12))
            summary = await queries.summary(session, owner_of(shop))
            overview = await queries.overview(session, shop.id, ZoneInfo(zone))
            last_30 = await report(session, shop.id, ZoneInfo(zone), span_of("30-days", overview.today))

    assert overview.summary == summary
    assert set(last_30.steps) <= set(daily.items)
    assert (len(last_30.steps), last_30.steps[-1][0]) == (30, NOON.astimezone(ZoneInfo(zone)).date())
    assert sum(last_30.hours, Inflow()) == last_30.total == sum((found for _, found in last_30.steps), Inflow())
    assert {day: found for day, found in daily.items if found.count} == expected
    months: dict[Month, Inflow] = {}
    for day, found in expected.items():
        months[Month.of(day)] = months.get(Month.of(day), Inflow()) + found
    assert {month: found for month, found in monthly.items if found.count} == months
    today = NOON.astimezone(ZoneInfo(zone)).date()
    assert summary.today == expected.get(today, Inflow())
    assert summary.yesterday == expected.get(today - timedelta(days=1), Inflow())
    assert summary.this_month == months.get(Month.of(today), Inflow())
    assert summary.last_month == months.get(Month.of(today).plus(-1), Inflow())


async def test_every_entry_is_rolled_up_once_into_the_quarter_of_its_time(sessionmaker: SessionMaker) -> None:
    shop = await open_shop(sessionmaker)
    # The third was written by a machine whose clock is behind: its time is in the quarter before.
    for amount, at in ((1, NOON), (20, NOON + QUARTER), (300, NOON - timedelta(seconds=2)), (4_000, NOON)):
        await pay(sessionmaker, shop.id, amount, at)
    with rolling_up_at_most(3):
        assert await roll_up(sessionmaker, shop.id) == 3
        await pay(sessionmaker, shop.id, 50_000, NOON)
        assert [await roll_up(sessionmaker, shop.id) for _ in range(3)] == [2, 0, 0]
    async with sessionmaker() as session:
        rows = await session.scalars(select(InflowRollup).where(InflowRollup.account_id == shop.id))
        found = {row.quarter_start: (row.amount, row.payments) for row in rows}
        mark = await session.get_one(InflowWatermark, shop.id)
    assert found == {NOON - QUARTER: (300, 1), NOON: (54_001, 3), NOON + QUARTER: (20, 1)}
    assert mark.seq == 5


async def test_a_run_rolls_up_all_shops_that_are_behind(fresh_sessionmaker: SessionMaker) -> None:
    shops = [await open_shop(fresh_sessionmaker) for _ in range(3)]
    for number, shop in enumerate(shops):
        for _ in range(number + 3):
            await pay(fresh_sessionmaker, shop.id, 100, NOON)
    with rolling_up_at_most(2):
        assert await roll_up_all(fresh_sessionmaker) == 3 + 4 + 5
        assert await roll_up_all(fresh_sessionmaker) == 0
    async with fresh_sessionmaker() as session:
        marks = Counter(list(await session.scalars(select(InflowWatermark.seq))))
    assert marks == Counter([3, 4, 5])
    assert (await prove(fresh_sessionmaker)).ok


async def test_a_long_backlog_is_rolled_up_in_bounded_runs(
    fresh_sessionmaker: SessionMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = await open_shop(fresh_sessionmaker)
    for _ in range(5):
        await pay(fresh_sessionmaker, shop.id, 100, NOON)
    monkeypatch.setattr(commands, "ROLL_UPS_PER_SHOP", 2)
    with rolling_up_at_most(2):
        assert [await roll_up_all(fresh_sessionmaker) for _ in range(3)] == [4, 1, 0]


async def test_only_shops_are_rolled_up(fresh_sessionmaker: SessionMaker) -> None:
    async with fresh_sessionmaker.begin() as session:
        person = await factories.create_user(session, balance=100)
    assert await roll_up_all(fresh_sessionmaker) == 0
    assert await roll_up(fresh_sessionmaker, person.id) == 0
    async with fresh_sessionmaker() as session:
        assert await session.scalar(select(func.count()).select_from(InflowWatermark)) == 0


async def test_a_roll_up_that_is_rolled_back_changes_nothing(sessionmaker: SessionMaker) -> None:
    shop = await open_shop(sessionmaker)
    await pay(sessionmaker, shop.id, 700, NOON)
    async with sessionmaker() as session:
        assert await commands.roll_up(session, shop.id) == 1
        await session.rollback()
    assert await roll_up(sessionmaker, shop.id) == 1
    with clock.reading(lambda: NOON):
        async with sessionmaker() as session:
            assert (await queries.summary(session, owner_of(shop))).today == Inflow(700, 1)


async def test_a_roll_up_begins_at_a_quarter_of_an_hour(sessionmaker: SessionMaker) -> None:
    shop = await open_shop(sessionmaker)
    await roll_up(sessionmaker, shop.id)
    with pytest.raises(IntegrityError, match="ck_inflow_rollups_quarter"):
        async with sessionmaker.begin() as session:
            session.add(
                InflowRollup(account_id=shop.id, quarter_start=NOON + timedelta(minutes=1), amount=1, payments=1)
            )


@pytest.fixture
async def rolled_up(fresh_sessionmaker: SessionMaker) -> Account:
    shop = await open_shop(fresh_sessionmaker)
    for hours in range(3):
        await pay(fresh_sessionmaker, shop.id, 100, NOON + timedelta(hours=hours))
    await roll_up(fresh_sessionmaker, shop.id)
    await pay(fresh_sessionmaker, shop.id, 100, NOON)
    assert (await prove(fresh_sessionmaker)).ok
    return shop


@pytest.mark.parametrize(
    ("edit", "broken"),
    [
        ("UPDATE inflow_rollups SET amount = amount + 1 WHERE quarter_start = :noon", "roll-ups are its payments"),
        ("UPDATE inflow_rollups SET payments = payments + 1 WHERE quarter_start = :noon", "roll-ups are its payments"),
        ("DELETE FROM inflow_rollups WHERE quarter_start = :noon", "roll-ups are its payments"),
        ("UPDATE inflow_rollups SET quarter_start = :noon - interval '1 day' WHERE quarter_start = :noon", "roll-ups"),
        ("UPDATE inflow_watermarks SET seq = 4 WHERE CAST(:noon AS timestamptz) IS NOT NULL", "roll-ups"),
        ("UPDATE inflow_watermarks SET seq = 2 WHERE CAST(:noon AS timestamptz) IS NOT NULL", "roll-ups"),
        ("UPDATE inflow_watermarks SET seq = 5 WHERE CAST(:noon AS timestamptz) IS NOT NULL", "ahead of its account"),
    ],
)
async def test_the_proof_compares_roll_ups_with_the_ledger(
    fresh_sessionmaker: SessionMaker, rolled_up: Account, edit: str, broken: str
) -> None:
    async with fresh_sessionmaker.begin() as session:
        await session.execute(text(edit), {"noon": NOON})
    report = await prove(fresh_sessionmaker)
    assert any(broken in check.name for check in report.failed), report.failed
    assert report.rows["shops"] == 1
