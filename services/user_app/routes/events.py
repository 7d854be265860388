"""Server-sent events, as in every app with a wallet."""

from __future__ import annotations

from shared.web.routes.events import router

__all__ = ["router"]
