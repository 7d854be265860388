"""Home: the wallet, and what the user can do with it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response

from services.user_app.pages.recent_recipients import recent_recipients
from shared import clock
from shared.http.dependencies import CurrentResources, SignedInCaller, signed_in
from shared.http.shortcuts import ShortcutRoute, announces_body, shortcut
from shared.pages.listed_lines import by_day
from shared.pages.reminders import reminders
from shared.pages.rendering import render
from shared.pages.withdrawal_words import WithdrawalWords, words_for
from shared.runtime.resources import Resources
from shared.withdrawals.queries import recent_withdrawals
from shared.withdrawals.views import WithdrawalView

router = APIRouter(route_class=ShortcutRoute)

RECENT_LINES = 12


async def _well_formed(request: Request) -> dict[str, Any] | None:
    """The parameters of `show_home`, when there is no body."""
    if announces_body(request):
        return None
    return {"request": request, "caller": await signed_in(request), "resources": request.app.state.resources}


@router.get("/")
@shortcut(_well_formed)
async def show_home(request: Request, caller: SignedInCaller, resources: CurrentResources) -> Response:
    """The page after sign-in: what is available, what is held and why, and the latest transactions."""
    wallet = caller.wallet
    overview = await resources.overviews.read(
        caller.identity.owner_id, account_id=wallet.account_id, lines=RECENT_LINES
    )
    return render(
        request,
        "home.html",
        first_name=overview.first_name,
        reminders=reminders(request),
        wallet=wallet,
        holding=await _holding(resources, caller.identity.owner_id) if wallet.held else [],
        days=by_day(overview.recent, path="/transfers"),
        recipients=recent_recipients(overview.recent),
        pots=overview.pots,
    )


async def _holding(resources: Resources, owner_id: UUID) -> list[tuple[WithdrawalView, WithdrawalWords]]:
    """The withdrawals for which money is held, oldest first, each with what the page says about it."""
    found = await recent_withdrawals(resources.reads, owner_id=owner_id, since=clock.now())
    unfinished = [each.withdrawal for each in found if each.withdrawal.finished_at is None]
    return [(withdrawal, words_for(withdrawal)) for withdrawal in unfinished]
