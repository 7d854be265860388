"""The pages of merchant_app: one module per subject, each with its own router."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter

from services.merchant_app.pages import dashboard, payments, profile, qr_page, refunds, sign_up
from shared.pages import amount_lookup, change_secrets, confirm_email, sign_in, withdrawals
from shared.pages.site import NavItem, Shell, Site

PAGES: tuple[APIRouter, ...] = (
    sign_in.router,
    amount_lookup.router,
    sign_up.router,
    dashboard.router,
    payments.router,
    refunds.router,
    qr_page.router,
    profile.router,
    change_secrets.router,
    confirm_email.router,
    withdrawals.router,
)
"""The routers of the pages, in the order in which they match."""

SHELL = Shell(
    name="Batua for shops",
    promise="See every payment the moment it arrives.",
    points=(
        ("qr", "One QR code", "Print it, put it on the counter and hear every payment."),
        ("chart", "The day at a glance", "Today and yesterday, this month and the last, in your time zone."),
        ("bank", "Out to your bank", "Withdraw when you like and follow each step."),
    ),
    nav=(
        NavItem("Dashboard", "/", "chart"),
        NavItem("Payments", "/transactions", "list"),
        NavItem("QR", "/qr", "qr", is_prominent=True),
        NavItem("Withdraw", "/withdraw", "bank"),
        NavItem("Profile", "/profile", "person"),
    ),
)

SITE = Site(shell=SHELL, templates=Path(__file__).parent.parent / "templates", routers=PAGES)
