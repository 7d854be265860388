"""Withdrawals, as in every app with a wallet."""

from __future__ import annotations

from shared.web.routes.withdrawals import router

__all__ = ["router"]
