"""How amounts, dates and numbers are written on a page: rupees, lakh grouping, the reader's own time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_time
from babel.numbers import format_currency, format_decimal

from shared import clock
from shared.money import INR, PAISE_PER_RUPEE

LOCALE = "en_IN"
INDIA = "Asia/Kolkata"
MINUS = "\u2212"
_VISIBLE_DIGITS = 4


@dataclass(frozen=True, slots=True)
class Figure:
    """An amount in parts, so that the rupees can be large and the paise small."""

    sign: str
    rupees: str
    paise: str


def rupees(paise: int) -> str:
    """Paise as `₹1,23,456.78`; a negative amount has a real minus sign."""
    amount = Decimal(abs(paise)) / PAISE_PER_RUPEE
    return f"{MINUS if paise < 0 else ''}{format_currency(amount, INR, locale=LOCALE)}"


def short_rupees(paise: int) -> str:
    """Without the paise when there are none: `₹250`, `₹250.50`."""
    return rupees(paise).removesuffix(".00")


def figure(paise: int) -> Figure:
    """The parts of `rupees`; the sign stands apart."""
    whole, _, part = rupees(abs(paise)).removeprefix("₹").partition(".")
    return Figure(MINUS if paise < 0 else "", whole, part)


def typed_rupees(paise: int) -> str:
    """What somebody would type into an amount field: `250` or `250.50`, no grouping."""
    whole, part = divmod(abs(paise), PAISE_PER_RUPEE)
    return f"{whole}.{part:02d}" if part else str(whole)


def number(count: int) -> str:
    """A count with lakh grouping."""
    return format_decimal(count, locale=LOCALE)


def when(moment: datetime, timezone: str = INDIA) -> str:
    """`20 Nov 2026, 7:14 pm` in that time zone."""
    return f"{format_date(_local(moment, timezone), 'd MMM y', locale=LOCALE)}, {at(moment, timezone)}"


def at(moment: datetime, timezone: str = INDIA) -> str:
    """The time of day alone: `7:14 pm`."""
    return format_time(_local(moment, timezone).time(), "h:mm a", locale=LOCALE).lower()


def day(moment: datetime | date, timezone: str = INDIA) -> str:
    """`Today`, `Yesterday` or `Friday, 20 November`, with the year when it is another one."""
    local = _local(moment, timezone).date() if isinstance(moment, datetime) else moment
    today = _local(clock.now(), timezone).date()
    if local == today:
        return "Today"
    if local == today - timedelta(days=1):
        return "Yesterday"
    return format_date(local, "EEEE, d MMMM" if local.year == today.year else "EEEE, d MMMM y", locale=LOCALE)


def iso(moment: datetime) -> str:
    """What a `<time>` element says to machines: RFC 3339, UTC."""
    return clock.rfc3339(moment, "seconds")


def masked(account_number: str) -> str:
    """All but the last four digits hidden: `•••• 1234`."""
    return f"•••• {account_number[-_VISIBLE_DIGITS:]}"


def initials(name: str) -> str:
    """Up to two first letters, for the disc beside a name."""
    parts = name.split()
    chosen = [parts[0], parts[-1]] if len(parts) > 1 else parts
    return "".join(part[0] for part in chosen).upper()


def plural(count: int, one: str, many: str) -> str:
    """`1 payment`, `12 payments`."""
    return f"{number(count)} {one if count == 1 else many}"


def _local(moment: datetime, timezone: str) -> datetime:
    return moment.astimezone(_zone(timezone))


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
