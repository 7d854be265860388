"""The pages of user_app: one module per subject, each with its own router."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter

from services.user_app.pages import activity, adding, home, pots, profile, receipts, scanning, sending, sign_up
from services.user_app.settings import UserAppSettings
from shared.http.security_headers import origin_of
from shared.pages import amount_lookup, change_secrets, confirm_email, sign_in, withdrawals
from shared.pages.site import NavItem, Shell, Site

PAGES: tuple[APIRouter, ...] = (
    sign_in.router,
    amount_lookup.router,
    sign_up.router,
    home.router,
    adding.router,
    withdrawals.router,
    sending.router,
    scanning.router,
    receipts.router,
    activity.router,
    pots.router,
    profile.router,
    change_secrets.router,
    confirm_email.router,
)
"""The routers of the pages, in the order in which they match."""

SHELL = Shell(
    name="Batua",
    promise="Money that goes where you send it. Once.",
    points=(
        ("bolt", "Sent in a moment", "Find a friend by name and send. The money arrives at once."),
        ("shield", "Never twice", "A double tap, a reload or a lost signal never pays a second time."),
        ("bank", "Back to your bank", "Withdraw to your bank and follow each step."),
    ),
    nav=(
        NavItem("Home", "/", "home"),
        NavItem("Pots", "/pots", "purse"),
        NavItem("Send", "/send", "send", is_prominent=True),
        NavItem("Activity", "/activity", "list"),
        NavItem("Add", "/add-money", "plus", is_for_wide_screens=True),
        NavItem("Profile", "/profile", "person"),
    ),
    add_money_path="/add-money",
    manifest="wallet.webmanifest",
)


def site_of(settings: UserAppSettings) -> Site:
    """The pages of user_app. The form that adds money leads to a bank."""
    return Site(
        shell=SHELL,
        templates=Path(__file__).parent.parent / "templates",
        routers=PAGES,
        form_targets=sorted({origin_of(bank.pages_url or bank.url) for bank in settings.banks.values()}),
    )
