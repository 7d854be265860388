"""The JSON API of merchant_app: one module per subject, each with its own router."""

from fastapi import APIRouter

from services.merchant_app.api import auth, inflow, profile, qr, refunds
from shared.api import email_confirmation, events, transactions, wallet, withdrawals

ROUTERS: tuple[APIRouter, ...] = (
    auth.router,
    email_confirmation.router,
    profile.router,
    events.router,
    inflow.router,
    qr.router,
    refunds.router,
    transactions.router,
    wallet.router,
    withdrawals.router,
)
"""Adding a router is one line."""
