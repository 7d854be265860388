"""What one chooses from when describing a shop."""

from __future__ import annotations

CATEGORIES = ("Food and drink", "Groceries", "Clothes", "Health", "Beauty", "Transport", "Services", "Other")
TIMEZONES = (
    "Asia/Kolkata",
    "Asia/Colombo",
    "Asia/Dhaka",
    "Asia/Dubai",
    "Asia/Hong_Kong",
    "Asia/Kathmandu",
    "Asia/Kuala_Lumpur",
    "Asia/Qatar",
    "Asia/Riyadh",
    "Asia/Singapore",
    "Asia/Thimphu",
    "Africa/Nairobi",
    "America/Los_Angeles",
    "America/New_York",
    "America/Toronto",
    "Australia/Sydney",
    "Europe/Berlin",
    "Europe/London",
    "Indian/Mauritius",
    "Pacific/Auckland",
)
"""Where shops that take rupees are; any other zone is set through the API and then offered here too."""


def category_options(present: str = "") -> list[tuple[str, str]]:
    """Values and words; `present` is among them, whatever it is."""
    return [("", "Choose one"), *((name, name) for name in _with(CATEGORIES, present))]


def timezone_options(present: str = "") -> list[tuple[str, str]]:
    """Values and words; `present` is among them, whatever it is."""
    return [(name, name.replace("_", " ")) for name in _with(TIMEZONES, present)]


def _with(names: tuple[str, ...], present: str) -> tuple[str, ...]:
    return names if present in {"", *names} else (present, *names)
