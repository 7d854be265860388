"""The limits on money sent to others and on initial funds, and how much of today's was used. Amounts in paise."""

from __future__ import annotations

from shared import clock
from shared.calendar import CalendarDay, indian_day
from shared.config import MovementLimits
from shared.ledger.limits import Limits
from shared.models import Account


def sending_limits(limits: MovementLimits) -> Limits:
    """How much an owner may send to others today."""
    today = indian_day(clock.now())
    return Limits("transfer", limits.transfer_per_movement_paise, limits.transfer_per_day_paise, today)


def funding_limits(limits: MovementLimits) -> Limits:
    """How much the platform may give as initial funds today."""
    today = indian_day(clock.now())
    return Limits("funding", limits.funding_per_movement_paise, limits.funding_per_day_paise, today)


def sent_on(day: CalendarDay, wallet: Account) -> int:
    """How much the wallet's owner has sent to others on `day`. If a later day has already started, its count stands."""
    return wallet.sent_today if wallet.sent_on is not None and wallet.sent_on >= day.date else 0
