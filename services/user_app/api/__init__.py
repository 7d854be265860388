"""The JSON API of user_app: one module per subject, each with its own router."""

from fastapi import APIRouter

from services.user_app.api import (
    accounts,
    auth,
    banks,
    bulk_transfers,
    limits,
    on_ramps,
    profile,
    system,
    transfers,
    users,
)
from shared.api import email_confirmation, events, transactions, wallet, withdrawals

ROUTERS: tuple[APIRouter, ...] = (
    auth.router,
    email_confirmation.router,
    profile.router,
    accounts.router,
    banks.router,
    events.router,
    limits.router,
    on_ramps.router,
    system.router,
    transactions.router,
    bulk_transfers.router,
    transfers.router,
    users.router,
    wallet.router,
    withdrawals.router,
)
"""Adding a router is one line."""
