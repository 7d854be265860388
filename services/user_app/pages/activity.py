"""The page of all transactions of a wallet or a pot: filtered, searched, part by part, and as CSV."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from services.user_app.pages.account_options import account_options
from shared.calendar import INDIA
from shared.http.dependencies import Caller, ReadSession
from shared.pages.listed_statement import list_statement
from shared.pages.rendering import render
from shared.transfers.commands import MAX_POTS
from shared.transfers.queries import list_accounts

router = APIRouter()


@router.get("/activity")
async def show_activity(request: Request, caller: Caller, session: ReadSession) -> Response:
    """Transactions, newest first, of the wallet or of the pot that `account` in the address names."""
    listed = await list_statement(
        session, caller.owner_id, request.query_params, path="/activity", line_path="/transfers", zone=INDIA
    )
    accounts = await list_accounts(session, owner_id=caller.owner_id, limit=MAX_POTS + 1)
    return render(
        request,
        "activity.html",
        status=listed.form.status,
        statement=listed,
        accounts=account_options(accounts),
    )
