"""The page of all transactions of a wallet or a pot: filtered, searched, part by part, and as CSV."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from shared.calendar import INDIA
from shared.http.dependencies import CurrentResources, SignedInCaller
from shared.pages.listed_statement import list_statement
from shared.pages.rendering import render

router = APIRouter()


@router.get("/activity")
async def show_activity(request: Request, caller: SignedInCaller, resources: CurrentResources) -> Response:
    """Transactions, newest first, of the wallet or of the pot that `account` in the address names."""
    listed = await list_statement(
        resources, caller, request.query_params, path="/activity", line_path="/transfers", zone=INDIA
    )
    overview = await resources.overviews.read(caller.identity.owner_id, account_id=caller.wallet.account_id)
    return render(
        request,
        "activity.html",
        status=listed.form.status,
        statement=listed,
        accounts=[
            (str(caller.wallet.account_id), "Wallet"),
            *((str(pot.id), pot.name) for pot in overview.pots),
        ],
    )
