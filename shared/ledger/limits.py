"""Limits on what one owner moves: per movement, and per day of the Indian calendar. Pure; amounts are paise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from shared.calendar import CalendarDay
from shared.ledger.errors import LimitExceeded, LimitName


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits on one kind of movement on one day."""

    kind: Literal["transfer", "withdrawal", "funding"]
    per_movement: int
    per_day: int
    day: CalendarDay

    def check(self, amount: int, used: int) -> None:
        """Raise LimitExceeded if moving `amount` exceeds a limit. `used` is the paise already moved on this day."""
        if amount <= self.room(used):
            return
        binding = self.binding(used)
        if binding == self._name("movement"):
            raise LimitExceeded(binding, maximum=self.per_movement, used=0, remaining=self.per_movement)
        raise LimitExceeded(binding, self.per_day, used, self.left_today(used), resets_at=self.day.ends_at)

    def left_today(self, used: int) -> int:
        """Paise left of the daily limit, at least 0."""
        return max(0, self.per_day - used)

    def room(self, used: int) -> int:
        """The largest amount that one movement may have now."""
        return min(self.per_movement, self.left_today(used))

    def binding(self, used: int) -> LimitName:
        """The limit that a growing amount exceeds first."""
        return self._name("movement" if self.per_movement <= self.left_today(used) else "day")

    def _name(self, per: Literal["movement", "day"]) -> LimitName:
        return f"{self.kind}_per_{per}"  # type: ignore[return-value]  # the names are these three times two


@dataclass(frozen=True, slots=True)
class SendingLimit:
    """The limits of a transfer, and the account that counts: the wallet of its owner, whatever account pays, or the
    platform's funding account.
    """

    account_id: UUID
    limits: Limits
