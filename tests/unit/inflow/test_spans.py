"""Which days a dashboard shows, which stand beside them, and until when, in every zone."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import calendar
from shared.calendar import ONE_DAY, Month, start_of
from shared.inflow.errors import RangeNotBegun, RangeOutOfReach, RangeReversed, RangeTooLong
from shared.inflow.ranges import MAX_DAYS
from shared.inflow.spans import PRESETS, Preset, Span, offsets_between, span_between, span_of

ZONES = [
    *("Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns", "Europe/Berlin"),
    *("Africa/Cairo", "America/Havana", "Pacific/Kiritimati", "Pacific/Apia", "UTC"),
]
days = st.dates(date(2015, 1, 1), date(2035, 12, 31))
zones = st.sampled_from(ZONES).map(ZoneInfo)
moments = st.datetimes(datetime(2015, 1, 2), datetime(2035, 12, 30)).map(lambda at: at.replace(tzinfo=UTC))  # noqa: DTZ001


def _iso(span: Span) -> tuple[str, str, str, str]:
    return (str(span.first), str(span.last), str(span.earlier_first), str(span.earlier_last))


@pytest.mark.parametrize(
    ("preset", "today", "expected"),
    [
        ("today", date(2026, 1, 1), ("2026-01-01", "2026-01-01", "2025-12-31", "2025-12-31")),
        ("yesterday", date(2026, 3, 1), ("2026-02-28", "2026-02-28", "2026-02-27", "2026-02-27")),
        ("7-days", date(2026, 11, 20), ("2026-11-14", "2026-11-20", "2026-11-07", "2026-11-13")),
        ("30-days", date(2026, 11, 20), ("2026-10-22", "2026-11-20", "2026-09-22", "2026-10-21")),
        ("this-month", date(2026, 11, 20), ("2026-11-01", "2026-11-20", "2026-10-01", "2026-10-20")),
        ("this-month", date(2026, 3, 31), ("2026-03-01", "2026-03-31", "2026-02-01", "2026-02-28")),
        ("this-month", date(2026, 1, 1), ("2026-01-01", "2026-01-01", "2025-12-01", "2025-12-01")),
        ("last-month", date(2026, 1, 31), ("2025-12-01", "2025-12-31", "2025-11-01", "2025-11-30")),
        ("last-month", date(2028, 3, 31), ("2028-02-01", "2028-02-29", "2028-01-01", "2028-01-31")),
        ("12-months", date(2026, 11, 20), ("2025-12-01", "2026-11-20", "2024-12-01", "2025-11-20")),
        ("12-months", date(2028, 2, 29), ("2027-03-01", "2028-02-29", "2026-03-01", "2027-02-28")),
    ],
)
def test_the_days_of_a_preset_and_those_beside_them(
    preset: Preset, today: date, expected: tuple[str, str, str, str]
) -> None:
    assert _iso(span_of(preset, today)) == expected


@given(st.sampled_from(PRESETS), days)
def test_days_beside_are_before_and_as_many_but_for_the_lengths_of_months(preset: Preset, today: date) -> None:
    span = span_of(preset, today)
    earlier = (span.earlier_last - span.earlier_first).days + 1
    assert span.earlier_first <= span.earlier_last < span.first <= span.last <= today
    assert span.days <= MAX_DAYS
    assert earlier == span.days or preset in {"this-month", "last-month", "12-months"}
    assert abs(earlier - span.days) <= 3
    if preset == "this-month":
        assert Month.of(span.earlier_first) == Month.of(span.earlier_last) == Month.of(today).plus(-1)


@given(days, st.integers(0, MAX_DAYS - 1), st.integers(0, 400))
def test_chosen_days_stand_beside_as_many_right_before(last: date, more: int, ago: int) -> None:
    span = span_between(last - more * ONE_DAY, last, today=last + ago * ONE_DAY)
    assert (span.first, span.last, span.days) == (last - more * ONE_DAY, last, more + 1)
    assert span.earlier_last == span.first - ONE_DAY
    assert span.earlier_first == span.first - (more + 1) * ONE_DAY


def test_chosen_days_end_today_at_the_latest() -> None:
    today = date(2026, 11, 20)
    assert _iso(span_between(date(2026, 11, 1), date(2026, 11, 30), today=today)) == (
        *("2026-11-01", "2026-11-20"),
        *("2026-10-12", "2026-10-31"),
    )
    assert _iso(span_between(None, None, today=today)) == _iso(span_of("30-days", today))
    for first, last, error in [
        (date(2026, 11, 21), date(2026, 11, 21), RangeNotBegun),
        (date(2026, 11, 3), date(2026, 11, 2), RangeReversed),
        (date(2025, 11, 1), date(2026, 11, 19), RangeTooLong),
        (date(1969, 1, 1), date(1969, 1, 2), RangeOutOfReach),
    ]:
        with pytest.raises(error):
            span_between(first, last, today=today)


@given(st.sampled_from(PRESETS), moments, zones)
def test_days_under_way_are_compared_until_the_same_time_of_day(preset: Preset, now: datetime, zone: ZoneInfo) -> None:
    span = span_of(preset, calendar.today(now, zone))
    begins, ends = span.boundaries(zone)
    earlier_begins, earlier_ends = span.earlier_boundaries(now, zone)
    assert earlier_begins <= earlier_ends <= begins
    assert (begins <= now < ends) == span.is_under_way(now, zone) == (preset not in {"yesterday", "last-month"})
    whole = start_of(span.earlier_last + ONE_DAY, zone)
    if not span.is_under_way(now, zone) or not span.is_like_for_like:
        assert earlier_ends == whole
        return
    local, earlier = now.astimezone(zone), earlier_ends.astimezone(zone)
    if earlier_ends != whole and local.replace(tzinfo=None).time() == earlier.time():
        assert earlier.date() == span.earlier_last
    else:  # that time was skipped on that day, or that date in the whole zone
        skipped = datetime.combine(span.earlier_last, local.time(), zone).astimezone(UTC).astimezone(zone)
        assert skipped.replace(tzinfo=None) != datetime.combine(span.earlier_last, local.time())


@pytest.mark.parametrize(
    ("zone", "now", "until"),
    [
        ("Asia/Kolkata", "2026-11-20T12:07:30+05:30", "2026-11-19T12:07:30+05:30"),
        ("Europe/Berlin", "2026-03-29T12:00:00+02:00", "2026-03-28T12:00:00+01:00"),  # a day of 23 hours
        ("Europe/Berlin", "2026-10-25T02:30:00+01:00", "2026-10-24T02:30:00+02:00"),  # the second 2:30 of 25 hours
        ("Europe/Berlin", "2026-03-30T02:30:00+02:00", "2026-03-29T03:30:00+02:00"),  # 2:30 was skipped
        ("Europe/Berlin", "2026-10-26T02:30:00+01:00", "2026-10-25T02:30:00+02:00"),  # the first of two
        ("Australia/Lord_Howe", "2026-10-04T09:10:00+11:00", "2026-10-03T09:10:00+10:30"),  # half an hour
    ],
)
def test_yesterday_by_this_hour_when_clocks_change(zone: str, now: str, until: str) -> None:
    at = datetime.fromisoformat(now)
    span = span_of("today", calendar.today(at, ZoneInfo(zone)))
    assert span.earlier_boundaries(at, ZoneInfo(zone))[1] == datetime.fromisoformat(until)


def test_on_the_last_day_of_a_long_month_the_whole_of_a_short_one_is_beside() -> None:
    now, zone = datetime(2026, 3, 31, 6, 30, tzinfo=UTC), ZoneInfo("Asia/Kolkata")
    span = span_of("this-month", date(2026, 3, 31))
    assert span.earlier_boundaries(now, zone)[1] == start_of(date(2026, 3, 1), zone)


@given(moments, st.timedeltas(timedelta(minutes=15), timedelta(days=MAX_DAYS)), zones, st.floats(0, 1))
def test_the_clock_of_a_zone_is_told_for_every_moment(
    begins: datetime, lasts: timedelta, zone: ZoneInfo, where: float
) -> None:
    offsets = offsets_between(begins, begins + lasts, zone)
    at = begins + lasts * where * 0.999
    told = [seconds for moment, seconds in offsets if moment <= at][-1]
    assert timedelta(seconds=told) == at.astimezone(zone).utcoffset()
    assert [moment for moment, _ in offsets] == sorted(moment for moment, _ in offsets)
