"""Where a replica is, and how far behind it may be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Self

from pydantic import Field, SecretStr, model_validator

from shared.config import PrivateNetworkSettings, database_refusals, require_usable_tls


class ReplicaSettings(PrivateNetworkSettings):
    """A standby of Postgres that answers some reads: statements, exports, searches, dashboards and reports."""

    read_database_url: SecretStr | None = None
    """The same as `BATUA_DATABASE_URL`, for a standby. Not set: the primary answers everything. It always does where a
    caller is authenticated or money moves, for what the standby has not got yet, and when the standby is away."""
    read_lag_seconds: float = Field(default=5.0, ge=1)
    """How old at most what the standby shows may be. Beyond that, the primary answers."""

    def refusals(self) -> Iterator[str]:
        """The same as for the primary."""
        yield from super().refusals()
        if self.read_database_url is not None:
            yield from database_refusals("BATUA_READ_DATABASE_URL", self.read_database_url, self.private)

    @model_validator(mode="after")
    def _replica_can_be_reached(self) -> Self:
        if self.read_database_url is not None:
            require_usable_tls("BATUA_READ_DATABASE_URL", self.read_database_url)
        return self
