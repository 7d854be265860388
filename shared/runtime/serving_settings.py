"""The settings of how a service is served."""

from __future__ import annotations

from pydantic import Field

from shared.config import Settings

SHUTDOWN_DELAY_SECONDS = 5.0


class ServingSettings(Settings):
    """How a service that answers requests uses the cores of its machine, and how it stops."""

    processes: int = Field(default=0, ge=0, le=64)
    """Processes that share the service's port. 0 is one per core, but no more than 4 (on Linux; elsewhere one)."""
    refusal_delay_seconds: float = Field(default=1.0, ge=0, le=5)
    """How late a refusal of one request too many (429) is sent, so that a caller who asks again at once takes little
    from others. 0 sends a refusal at once."""
    shutdown_delay_seconds: float | None = Field(default=None, ge=0, le=60)
    """How long a service that is told to stop says so at `/readyz` (503) and serves on, before it closes its port:
    longer than a proxy takes to notice. Not set: 5 in production, 0 elsewhere."""

    @property
    def shutdown_delay(self) -> float:
        """The setting, or its default; in seconds."""
        if self.shutdown_delay_seconds is not None:
            return self.shutdown_delay_seconds
        return SHUTDOWN_DELAY_SECONDS if self.is_production else 0.0
