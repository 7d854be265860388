"""The JSON API of merchant_app: one module per subject, each with its own router."""

from fastapi import APIRouter

from services.merchant_app.routes import auth, profile

ROUTERS: tuple[APIRouter, ...] = (
    auth.router,
    profile.router,
)
"""Adding a router is one line."""
