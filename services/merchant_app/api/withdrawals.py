"""Withdrawals, as in every app with a wallet."""

from __future__ import annotations

from shared.api.withdrawals import router

__all__ = ["router"]
