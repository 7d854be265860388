"""How amounts and dates are written."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from babel.dates import format_date, format_time
from babel.numbers import format_currency, format_decimal
from hypothesis import given
from hypothesis import strategies as st

from shared import clock
from shared.money import Money
from shared.pages import formatting

ZONES = [ZoneInfo(name) for name in ("Asia/Kolkata", "UTC", "America/St_Johns", "Pacific/Apia")]


@pytest.mark.parametrize(
    ("paise", "written"),
    [
        (0, "₹0.00"),
        (5, "₹0.05"),
        (12345678, "₹1,23,456.78"),
        (10_000_000_00, "₹1,00,00,000.00"),
        (-150000, "\u2212₹1,500.00"),
    ],
)
def test_rupees_are_grouped_by_lakh(paise: int, written: str) -> None:
    assert formatting.rupees(paise) == written
    assert formatting.rupees(abs(paise)) == str(Money(abs(paise))), "one way to write money"


def test_an_amount_is_split_into_rupees_and_paise() -> None:
    assert formatting.amount_parts(12345678) == formatting.AmountParts("", "1,23,456", "78")
    assert formatting.amount_parts(-5) == formatting.AmountParts("\u2212", "0", "05")
    assert formatting.short_rupees(25000) == "₹250"
    assert formatting.input_rupees(25050) == "250.50"


def test_a_moment_is_shown_in_the_given_time_zone() -> None:
    moment = datetime(2026, 11, 20, 19, 14, tzinfo=UTC)
    assert formatting.when(moment) == "21 Nov 2026, 12:44 am"
    assert formatting.when(moment, ZoneInfo("UTC")) == "20 Nov 2026, 7:14 pm"
    assert formatting.iso(moment) == "2026-11-20T19:14:00Z"


def test_today_and_yesterday_have_names() -> None:
    now = datetime(2026, 11, 20, 19, 14, tzinfo=UTC)  # already the 21st in India
    with clock.reading(lambda: now):
        assert formatting.day(now) == "Today"
        assert formatting.day(datetime(2026, 11, 20, 12, 0, tzinfo=UTC)) == "Yesterday"
        assert formatting.day(datetime(2026, 11, 2, 12, 0, tzinfo=UTC)) == "Monday, 2 November"
        assert formatting.day(datetime(2025, 11, 2, 12, 0, tzinfo=UTC)) == "Sunday, 2 November 2025"


def test_initials_and_account_numbers() -> None:
    assert formatting.initials("Asha Devi Rao") == "AR"
    assert formatting.initials("Chai & Snacks \N{TEACUP WITHOUT HANDLE}") == "CS"
    assert formatting.initials("  ") == ""
    assert formatting.masked("50100012341234") == "•••• 1234"
    assert formatting.in_fours("50100012345678") == "5010 0012 3456 78"


@given(st.integers(-(10**15), 10**15))
def test_amounts_and_counts_are_written_as_the_locale_says(number: int) -> None:
    currency = format_currency(Decimal(abs(number)) / 100, "INR", locale=formatting.LOCALE)
    assert formatting.rupees(number) == ("\u2212" if number < 0 else "") + currency
    assert formatting.number(number) == format_decimal(number, locale=formatting.LOCALE)


@given(st.integers(86_400, 253_000_000_000), st.sampled_from(ZONES))
def test_moments_are_written_as_the_locale_says(seconds: int, zone: ZoneInfo) -> None:
    moment = datetime.fromtimestamp(seconds, UTC)
    local, locale = moment.astimezone(zone), formatting.LOCALE
    assert formatting.on(moment, zone) == format_date(local.date(), "d MMM y", locale=locale)
    assert formatting.at(moment, zone) == format_time(local.time(), "h:mm a", locale=locale).lower()
    with clock.reading(lambda: datetime(1969, 1, 1, tzinfo=UTC)):
        assert formatting.day(moment, zone) == format_date(local.date(), "EEEE, d MMMM y", locale=locale)
