"""The dashboard: what the shop received, and the newest payments."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request, Response

from services.merchant_app.dashboard_figures import figures_of
from shared import clock
from shared.auth.queries import get_shop_profile
from shared.http.dependencies import Caller, ReadSession
from shared.inflow import queries
from shared.ledger import statement
from shared.ledger.accounts import wallet_of
from shared.ledger.statement import Filter
from shared.pages.rendering import render

router = APIRouter()

NEWEST_PAYMENTS = 10
_PAYMENTS = Filter(direction="CREDIT", kind="payment")


@router.get("/")
async def show_dashboard(request: Request, caller: Caller, session: ReadSession) -> Response:
    """The page after sign-in: today, this month, the newest payments, 30 days and 12 months."""
    shop = await get_shop_profile(session, caller.owner_id)
    wallet = await wallet_of(session, caller.owner_id)
    newest = await statement.read_page(session, wallet.id, limit=NEWEST_PAYMENTS, wanted=_PAYMENTS)
    recent = await queries.recent(session, caller.owner_id)
    return render(
        request,
        "dashboard.html",
        now=clock.now(),
        shop=shop,
        zone=ZoneInfo(shop.timezone),
        wallet=wallet,
        newest=newest.lines,
        figures=figures_of(recent),
    )
