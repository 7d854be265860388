"""The choices of the forms that describe a shop: categories and time zones."""

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
"""The time zones that the forms offer. The API takes every zone; the form then offers the shop's own one too."""


def category_options(present: str = "") -> list[tuple[str, str]]:
    """Values and labels of the choices; `present`, the shop's own one, is always among them."""
    return [("", "Choose one"), *((name, name) for name in _with(CATEGORIES, present))]


def timezone_options(present: str = "") -> list[tuple[str, str]]:
    """Values and labels of the choices; `present`, the shop's own one, is always among them."""
    return [(name, name.replace("_", " ")) for name in _with(TIMEZONES, present)]


def _with(names: tuple[str, ...], present: str) -> tuple[str, ...]:
    return names if present in {"", *names} else (present, *names)
