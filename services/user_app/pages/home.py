"""Home: the wallet, and what the user can do with it."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from services.user_app.pages.recent_recipients import recent_recipients
from shared import clock
from shared.auth.queries import get_person_profile
from shared.http.dependencies import Caller, ReadSession
from shared.ledger import statement
from shared.ledger.accounts import wallet_of
from shared.pages.listed_lines import by_day
from shared.pages.rendering import render
from shared.pages.withdrawal_words import WithdrawalWords, words_for
from shared.transfers.commands import MAX_POTS
from shared.transfers.queries import list_accounts
from shared.transfers.statement_lines import with_refunds
from shared.withdrawals.queries import recent_withdrawals
from shared.withdrawals.views import WithdrawalView

router = APIRouter()

RECENT_LINES = 12


@router.get("/")
async def show_home(request: Request, caller: Caller, session: ReadSession) -> Response:
    """The page after sign-in: what is available, what is held and why, and the latest transactions."""
    user = await get_person_profile(session, caller.owner_id)
    wallet = await wallet_of(session, caller.owner_id)
    recent = await statement.read_page(session, wallet.id, limit=RECENT_LINES)
    accounts = await list_accounts(session, owner_id=caller.owner_id, limit=MAX_POTS + 1)
    return render(
        request,
        "home.html",
        user=user,
        wallet=wallet,
        holding=await _holding(session, caller.owner_id) if wallet.held else [],
        days=by_day(await with_refunds(session, recent.lines), path="/transfers"),
        recipients=recent_recipients(recent.lines),
        pots=[account for account in accounts if account.kind == "pot"],
    )


async def _holding(session: AsyncSession, owner_id: UUID) -> list[tuple[WithdrawalView, WithdrawalWords]]:
    """The withdrawals for which money is held, oldest first, each with what the page says about it."""
    found = await recent_withdrawals(session, owner_id=owner_id, since=clock.now())
    unfinished = [each.withdrawal for each in found if each.withdrawal.finished_at is None]
    return [(withdrawal, words_for(withdrawal)) for withdrawal in unfinished]
