"""The dashboard: what the shop received, and the newest payments."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request, Response

from services.merchant_app.dashboard_figures import figures_of
from shared import clock
from shared.auth.queries import get_shop_profile
from shared.http.dependencies import CurrentResources, SignedInCaller
from shared.inflow import queries
from shared.ledger import statement
from shared.ledger.statement import Filter
from shared.pages.rendering import render

router = APIRouter()

NEWEST_PAYMENTS = 10
_PAYMENTS = Filter(direction="CREDIT", kind="payment")


@router.get("/")
async def show_dashboard(request: Request, caller: SignedInCaller, resources: CurrentResources) -> Response:
    """The page after sign-in: today, this month, the newest payments, 30 days and 12 months."""
    owner_id, wallet = caller.identity.owner_id, caller.wallet
    shop = await get_shop_profile(resources.reads, owner_id)
    newest = await statement.read_page(resources.reads, wallet.account_id, limit=NEWEST_PAYMENTS, wanted=_PAYMENTS)
    zone = ZoneInfo(shop.timezone)
    recent = await queries.recent_of(resources.reads, wallet.account_id, zone)
    return render(
        request,
        "dashboard.html",
        now=clock.now(),
        shop=shop,
        zone=zone,
        wallet=wallet,
        newest=newest.lines,
        figures=figures_of(recent),
    )
