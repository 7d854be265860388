"""Pages of pots: money put aside, and moved between the owner's accounts."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from services.user_app.pages.account_options import account_options
from shared.auth.tokens import Identity
from shared.http.dependencies import Caller, CurrentResources, PinCheck, ReadSession
from shared.http.fields import Body, Name, Pin
from shared.http.keyed_requests import SEND_MONEY
from shared.pages.forms import Form, Rupees, SubmittedForm
from shared.pages.rendering import render, see_other
from shared.pages.repeated_submit import retry_while_in_flight
from shared.transfers import commands
from shared.transfers.commands import MAX_POTS
from shared.transfers.queries import list_accounts

router = APIRouter()


class PotForm(Body):
    """The fields of the form that opens a pot."""

    name: Name


class MoveForm(Body):
    """The fields of the form that moves money between two of the owner's accounts."""

    from_account: UUID
    to: UUID
    amount: Rupees
    pin: Pin


@router.get("/pots")
async def show_pots(request: Request, caller: Caller, session: ReadSession) -> Response:
    """The wallet and the pots, a form that moves money and one that opens a pot.

    `from_account`, `to` and `amount` (rupees) in the address fill in the first.
    """
    asked = request.query_params
    form = Form({name: asked[name] for name in ("from_account", "to", "amount") if name in asked})
    form.read_amount_of_address()
    return await _show(request, caller, session, move=form)


@router.post("/pots")
async def make_pot(request: Request, form: SubmittedForm, caller: Caller, resources: CurrentResources) -> Response:
    """Open an empty pot."""
    with form.catching():
        typed = form.read(PotForm)
        async with resources.sessionmaker.begin() as session:
            await commands.open_pot(session, owner_id=caller.owner_id, name=typed.name)
        return see_other("/pots")
    async with resources.read_sessionmaker() as session:
        return await _show(request, caller, session, pot=form)


@router.post("/pots/move")
async def move(
    request: Request, form: SubmittedForm, caller: Caller, check_pin: PinCheck, resources: CurrentResources
) -> Response:
    """Move the money and show the receipt. The same form submitted again shows the same receipt."""
    with form.catching():
        typed = form.read(MoveForm)
        await check_pin(typed.pin)
        sender = await resources.senders.find(
            owner_id=caller.owner_id, session_id=caller.session_id, to=str(typed.to), from_account=typed.from_account
        )
        answer = await retry_while_in_flight(
            lambda: commands.send(
                SEND_MONEY.request(caller.owner_id, form.key),
                sender=sender,
                amount=typed.amount,
                group_commit=resources.group_commit,
                marks=resources.marks,
                limits=resources.settings.limits,
            )
        )
        return see_other(f"/transfers/{answer.body['id']}")
    async with resources.read_sessionmaker() as session:
        return await _show(request, caller, session, move=form)


async def _show(
    request: Request, caller: Identity, session: AsyncSession, *, pot: Form | None = None, move: Form | None = None
) -> Response:
    accounts = await list_accounts(session, owner_id=caller.owner_id, limit=MAX_POTS + 1)
    refused = pot or move
    return render(
        request,
        "pots.html",
        status=200 if refused is None else refused.status,
        accounts=accounts,
        options=account_options(accounts),
        total=sum(account.balance for account in accounts),
        pot=pot or Form(),
        move=move or Form(),
    )
