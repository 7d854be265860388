"""The statement, as in every app with a wallet."""

from __future__ import annotations

from shared.api.transactions import router

__all__ = ["router"]
