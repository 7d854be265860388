"""Server-sent events, as in every app with a wallet."""

from __future__ import annotations

from shared.api.events import router

__all__ = ["router"]
