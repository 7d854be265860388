"""Pots: money put aside, and moving it between one's own accounts."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from services.user_app.api.transfers import TransferIn, send_once
from shared.auth.tokens import Identity
from shared.http.dependencies import Caller, CurrentResources, PinCheck, ReadSession
from shared.http.fields import Body, Name, Pin
from shared.pages.forms import Form, Rupees, SubmittedForm
from shared.pages.rendering import render, see_other
from shared.pages.repeated_submit import answered_once
from shared.transfers.pots import MAX_POTS, accounts_of, open_pot

router = APIRouter()


class PotForm(Body):
    """What a new pot is called."""

    name: Name


class MoveForm(Body):
    """From one of one's accounts to another."""

    from_account: UUID
    to: UUID
    amount: Rupees
    pin: Pin


@router.get("/pots")
async def show_pots(request: Request, caller: Caller, session: ReadSession) -> Response:
    """The wallet and the pots, a form to move money and one to make a pot."""
    return await _show(request, caller, session)


@router.post("/pots")
async def make_pot(request: Request, form: SubmittedForm, caller: Caller, resources: CurrentResources) -> Response:
    """A new, empty pot."""
    with form.catching():
        typed = form.read(PotForm)
        async with resources.sessionmaker.begin() as session:
            await open_pot(session, owner_id=caller.owner_id, name=typed.name)
        return see_other("/pots")
    async with resources.read_sessionmaker() as session:
        return await _show(request, caller, session, pot=form)


@router.post("/pots/move")
async def move(
    request: Request, form: SubmittedForm, caller: Caller, check_pin: PinCheck, resources: CurrentResources
) -> Response:
    """Move money, and on to the receipt; sent again, on to the same receipt."""
    with form.catching():
        typed = form.read(MoveForm)
        await check_pin(typed.pin)
        body = TransferIn(to=str(typed.to), amount=typed.amount, from_account=typed.from_account)
        answer = await answered_once(lambda: send_once(resources, caller, form.key, body))
        return see_other(f"/transfers/{answer.body['id']}")
    async with resources.read_sessionmaker() as session:
        return await _show(request, caller, session, move=form)


async def _show(
    request: Request, caller: Identity, session: AsyncSession, *, pot: Form | None = None, move: Form | None = None
) -> Response:
    accounts = await accounts_of(session, caller.owner_id, limit=MAX_POTS + 1)
    refused = pot or move
    return render(
        request,
        "pots.html",
        status=200 if refused is None else refused.status,
        accounts=accounts,
        options=[(str(each.id), "Wallet" if each.kind == "wallet" else each.name) for each in accounts],
        total=sum(account.balance for account in accounts),
        pot=pot or Form(),
        move=move or Form(),
    )
