"""How pages write amounts, dates and numbers: rupees with lakh grouping, times in the reader's time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_time
from babel.numbers import format_currency, format_decimal

from shared import clock
from shared.banks.account_numbers import last_digits
from shared.calendar import INDIA, ONE_DAY, today
from shared.money import INR, PAISE_PER_RUPEE

LOCALE = "en_IN"
MINUS = "\u2212"


@dataclass(frozen=True, slots=True)
class AmountParts:
    """An amount in parts, so that a page can show the rupees large and the paise small."""

    sign: str
    rupees: str
    paise: str


def rupees(paise: int) -> str:
    """Paise as `₹1,23,456.78`; a negative amount begins with MINUS."""
    amount = Decimal(abs(paise)) / PAISE_PER_RUPEE
    return f"{MINUS if paise < 0 else ''}{format_currency(amount, INR, locale=LOCALE)}"


def short_rupees(paise: int) -> str:
    """As `rupees`, without the paise when they are zero: `₹250`, `₹250.50`."""
    return rupees(paise).removesuffix(".00")


def amount_parts(paise: int) -> AmountParts:
    """What `rupees` writes, in its parts."""
    whole, _, part = rupees(abs(paise)).removeprefix("₹").partition(".")
    return AmountParts(MINUS if paise < 0 else "", whole, part)


def input_rupees(paise: int) -> str:
    """The value of an amount field: `250` or `250.50`, without grouping or sign."""
    whole, part = divmod(abs(paise), PAISE_PER_RUPEE)
    return f"{whole}.{part:02d}" if part else str(whole)


def number(count: int) -> str:
    """A count with lakh grouping."""
    return format_decimal(count, locale=LOCALE)


def when(moment: datetime, zone: ZoneInfo = INDIA) -> str:
    """Date and time in `zone`: `20 Nov 2026, 7:14 pm`."""
    return f"{on(moment, zone)}, {at(moment, zone)}"


def on(moment: datetime, zone: ZoneInfo = INDIA) -> str:
    """The date in `zone`: `20 Nov 2026`."""
    return format_date(moment.astimezone(zone).date(), "d MMM y", locale=LOCALE)


def at(moment: datetime, zone: ZoneInfo = INDIA) -> str:
    """The time of day in `zone`: `7:14 pm`."""
    return format_time(moment.astimezone(zone).time(), "h:mm a", locale=LOCALE).lower()


def day(moment: datetime, zone: ZoneInfo = INDIA) -> str:
    """The day in `zone`: `Today`, `Yesterday` or `Friday, 20 November`, with the year unless it is the present one."""
    local, present = moment.astimezone(zone).date(), today(clock.now(), zone)
    if local == present:
        return "Today"
    if local == present - ONE_DAY:
        return "Yesterday"
    return format_date(local, "EEEE, d MMMM" if local.year == present.year else "EEEE, d MMMM y", locale=LOCALE)


def iso(moment: datetime) -> str:
    """The `datetime` attribute of a `<time>` element: RFC 3339 in UTC, to the second."""
    return clock.rfc3339(moment, "seconds")


def masked(account_number: str) -> str:
    """An account number of which only the last four digits are shown: `•••• 1234`."""
    return f"•••• {last_digits(account_number)}"


def initials(name: str) -> str:
    """The first letters of the first and the last name, for the disc beside a name."""
    parts = name.split()
    chosen = [parts[0], parts[-1]] if len(parts) > 1 else parts
    return "".join(part[0] for part in chosen).upper()


def plural(count: int, one: str, many: str) -> str:
    """A count with its noun: `1 payment`, `12 payments`."""
    return f"{number(count)} {one if count == 1 else many}"
