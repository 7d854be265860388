"""The wallet, as in every app with a wallet."""

from __future__ import annotations

from shared.api.wallet import router

__all__ = ["router"]
