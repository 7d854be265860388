"""How pages write amounts, dates and numbers: rupees with lakh grouping, times in the reader's time zone.

The words are the locale's. They are put together here: a page writes many amounts and times, and the library reads its
patterns anew for each of them. A test compares the two.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from babel import Locale

from shared import clock
from shared.banks.account_numbers import last_digits
from shared.calendar import INDIA, ONE_DAY, today
from shared.money import PAISE_PER_RUPEE, Money, grouped

LOCALE = "en_IN"
MINUS = "\u2212"
NOON = 12
_locale = Locale.parse(LOCALE)
_MONTHS, _SHORT_MONTHS = _locale.months["format"]["wide"], _locale.months["format"]["abbreviated"]
_WEEKDAYS = _locale.days["format"]["wide"]


class AmountParts(NamedTuple):
    """An amount in parts, so that a page can show the rupees large and the paise small."""

    sign: str
    rupees: str
    paise: str


def rupees(paise: int) -> str:
    """Paise as `₹1,23,456.78`; a negative amount begins with MINUS."""
    return f"{MINUS if paise < 0 else ''}{Money(abs(paise))}"


def short_rupees(paise: int) -> str:
    """As `rupees`, without the paise when they are zero: `₹250`, `₹250.50`."""
    return rupees(paise).removesuffix(".00")


def amount_parts(paise: int) -> AmountParts:
    """What `rupees` writes, in its parts."""
    whole, part = divmod(abs(paise), PAISE_PER_RUPEE)
    return AmountParts(MINUS if paise < 0 else "", grouped(whole), f"{part:02d}")


def input_rupees(paise: int) -> str:
    """The value of an amount field: `250` or `250.50`, without grouping or sign."""
    whole, part = divmod(abs(paise), PAISE_PER_RUPEE)
    return f"{whole}.{part:02d}" if part else str(whole)


def number(count: int) -> str:
    """A count with lakh grouping."""
    return f"{'-' if count < 0 else ''}{grouped(abs(count))}"


def when(moment: datetime, zone: ZoneInfo = INDIA) -> str:
    """Date and time in `zone`: `20 Nov 2026, 7:14 pm`."""
    return f"{on(moment, zone)}, {at(moment, zone)}"


def lately(moment: datetime, zone: ZoneInfo = INDIA) -> str:
    """When it was, in `zone`: the time if it is of today, else the date before it, with the year unless the present."""
    local, present = moment.astimezone(zone), today(clock.now(), zone)
    if local.date() == present:
        return at(moment, zone)
    return f"{short_day(local.date(), present)}, {at(moment, zone)}"


def short_day(chosen: date, present: date) -> str:
    """`20 Nov`, with the year unless it is that of `present`."""
    return on_day(chosen).removesuffix(f" {present.year}")


def on(moment: datetime, zone: ZoneInfo = INDIA) -> str:
    """The date in `zone`: `20 Nov 2026`."""
    return on_day(moment.astimezone(zone).date())


def on_day(chosen: date) -> str:
    """`20 Nov 2026`."""
    return f"{chosen.day} {_SHORT_MONTHS[chosen.month]} {chosen.year}"


def at(moment: datetime, zone: ZoneInfo = INDIA) -> str:
    """The time of day in `zone`: `7:14 pm`."""
    local = moment.astimezone(zone)
    return f"{local.hour % NOON or NOON}:{local.minute:02d} {'am' if local.hour < NOON else 'pm'}"


def day(moment: datetime, zone: ZoneInfo = INDIA) -> str:
    """The day in `zone`: `Today`, `Yesterday` or `Friday, 20 November`, with the year unless it is the present one."""
    local, present = moment.astimezone(zone).date(), today(clock.now(), zone)
    if local == present:
        return "Today"
    if local == present - ONE_DAY:
        return "Yesterday"
    written = f"{_WEEKDAYS[local.weekday()]}, {local.day} {_MONTHS[local.month]}"
    return written if local.year == present.year else f"{written} {local.year}"


def iso(moment: datetime) -> str:
    """The `datetime` attribute of a `<time>` element: RFC 3339 in UTC, to the second."""
    return clock.rfc3339(moment, "seconds")


def in_fours(account_number: str) -> str:
    """A whole account number in groups that can be compared with a paper: `5010 0012 3456 78`."""
    return " ".join(account_number[start : start + 4] for start in range(0, len(account_number), 4))


def masked(account_number: str) -> str:
    """An account number of which only the last four digits are shown: `•••• 1234`."""
    return f"•••• {last_digits(account_number)}"


def initials(name: str) -> str:
    """The first letters of the first and the last name, for the disc beside a name. An emoji is none."""
    parts = [part for part in name.split() if part[0].isalnum()] or name.split()
    chosen = [parts[0], parts[-1]] if len(parts) > 1 else parts
    return "".join(part[0] for part in chosen).upper()


def plural(count: int, one: str, many: str) -> str:
    """A count with its noun: `1 payment`, `12 payments`."""
    return f"{number(count)} {one if count == 1 else many}"
