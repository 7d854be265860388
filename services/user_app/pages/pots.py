"""Pages of pots: money put aside for a goal, and moved between the owner's accounts."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from services.user_app.pages.account_options import account_options
from shared.auth.tokens import Identity
from shared.http.dependencies import Caller, CurrentResources, PinCheck, ReadSession
from shared.http.fields import Body, Name, Pin
from shared.http.keyed_requests import SEND_MONEY
from shared.ledger.accounts import wallet_of
from shared.pages import formatting
from shared.pages.forms import Form, Rupees, SubmittedForm
from shared.pages.rendering import render, see_other
from shared.pages.repeated_submit import retry_while_in_flight
from shared.transfers import commands
from shared.transfers.pots import MAX_POTS, change_pot, close_pot, open_pot, pot_of
from shared.transfers.queries import list_accounts

router = APIRouter()


class PotForm(Body):
    """The fields of the form that opens a pot."""

    name: Name


class ChangesForm(PotForm):
    """The fields of the form that renames a pot and gives it a goal; without one it has none."""

    goal: Rupees | None = None


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
            await open_pot(session, owner_id=caller.owner_id, name=typed.name)
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


@router.get("/pots/{pot_id}")
async def show_pot(request: Request, caller: Caller, session: ReadSession, pot_id: UUID) -> Response:
    """One open pot: what is in it, its name and goal, and how to close it."""
    return await _show_pot(request, caller, session, pot_id)


@router.post("/pots/{pot_id}")
async def change(
    request: Request, form: SubmittedForm, caller: Caller, resources: CurrentResources, pot_id: UUID
) -> Response:
    """Rename the pot, and set its goal or take it away."""
    with form.catching():
        typed = form.read(ChangesForm)
        async with resources.sessionmaker.begin() as session:
            await change_pot(session, owner_id=caller.owner_id, pot_id=pot_id, name=typed.name, goal=typed.goal)
        return see_other(f"/pots/{pot_id}")
    async with resources.read_sessionmaker() as session:
        return await _show_pot(request, caller, session, pot_id, form)


@router.post("/pots/{pot_id}/close")
async def close(
    request: Request, form: SubmittedForm, caller: Caller, resources: CurrentResources, pot_id: UUID
) -> Response:
    """Close the pot if it is empty; else its page says what to do first."""
    with form.catching():
        async with resources.sessionmaker.begin() as session:
            await close_pot(session, owner_id=caller.owner_id, pot_id=pot_id)
        return see_other("/pots")
    async with resources.read_sessionmaker() as session:
        return await _show_pot(request, caller, session, pot_id, form)


async def _show_pot(
    request: Request, caller: Identity, session: AsyncSession, pot_id: UUID, form: Form | None = None
) -> Response:
    pot = await pot_of(session, caller.owner_id, pot_id)
    if form is None or "name" not in form.values:
        goal = "" if pot.goal is None else formatting.input_rupees(pot.goal)
        shown = Form({"name": pot.name, "goal": goal})
        if form is not None:
            shown.problem, shown.status = form.problem, form.status
        form = shown
    wallet = await wallet_of(session, caller.owner_id)
    return render(request, "pot.html", status=form.status, pot=pot, wallet_account=wallet.id, form=form)


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
