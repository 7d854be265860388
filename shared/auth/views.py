"""What a person and a shop see of themselves."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonProfile:
    """A person's own profile."""

    id: UUID
    email: str
    first_name: str
    last_name: str
    wallet_id: str

    @property
    def name(self) -> str:
        """First and last name."""
        return f"{self.first_name} {self.last_name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShopProfile:
    """A shop's own profile. `timezone` is an IANA name; the shop's days begin and end there."""

    id: UUID
    email: str
    business_name: str
    category: str | None
    wallet_id: str
    timezone: str
