"""The statement, as in every app with a wallet."""

from __future__ import annotations

from shared.web.routes.transactions import router

__all__ = ["router"]
