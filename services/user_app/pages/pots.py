"""Pages of pots: money put aside for a goal, and moved between the owner's accounts."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from fastapi import APIRouter, Request, Response

from services.user_app.pages.account_options import account_options
from shared.db.retries import in_transaction
from shared.http.dependencies import Caller, CurrentResources, PinCheck, SignedInCaller
from shared.http.fields import Body, Name, Pin
from shared.http.keyed_requests import SEND_MONEY
from shared.ids import new_id
from shared.pages import formatting
from shared.pages.forms import Form, Rupees, SubmittedAction, SubmittedForm
from shared.pages.kept_forms import CurrentKept
from shared.pages.reminders import remind_of_pin
from shared.pages.rendering import render, see_other
from shared.pages.repeated_submit import retry_while_in_flight
from shared.transfers import commands
from shared.transfers.pots import MAX_POTS_EVER, change_pot, close_pot, open_pot, pot_of
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
async def show_pots(request: Request, caller: Caller, resources: CurrentResources, kept: CurrentKept) -> Response:
    """The wallet and the pots, a form that moves money and one that opens a pot.

    `from_account`, `to` and `amount` (rupees) in the address fill in the first.
    """
    asked = request.query_params
    blank = Form({name: asked[name] for name in ("from_account", "to", "amount") if name in asked})
    blank.read_amount_of_address()
    accounts = await resources.read(
        lambda session: list_accounts(session, owner_id=caller.owner_id, limit=MAX_POTS_EVER + 1)
    )
    pot, move = kept.form(action="/pots"), kept.form(blank, action="/pots/move")
    return render(
        request,
        "pots.html",
        status=max(pot.status, move.status),
        accounts=accounts,
        options=account_options(accounts),
        total=sum(account.balance for account in accounts),
        pot=pot,
        move=move,
    )


@router.post("/pots")
async def make_pot(form: SubmittedForm, caller: Caller, resources: CurrentResources) -> Response:
    """Open an empty pot."""
    typed = form.read(PotForm)
    pot_id, most = new_id(), resources.settings.quotas.open_pots
    await in_transaction(
        resources.sessionmaker,
        lambda session: open_pot(session, pot_id=pot_id, owner_id=caller.owner_id, name=typed.name, most=most),
    )
    return see_other("/pots")


@router.post("/pots/move")
async def move(form: SubmittedAction, caller: Caller, check_pin: PinCheck, resources: CurrentResources) -> Response:
    """Move the money and show the receipt. The same form submitted again shows the same receipt."""
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
            quotas=resources.quotas,
        ),
        of="transfer_id",
    )
    return remind_of_pin(see_other(f"/transfers/{answer.body['id']}"), resources.settings, typed.pin)


@router.get("/pots/{pot_id}")
async def show_pot(
    request: Request, caller: SignedInCaller, resources: CurrentResources, kept: CurrentKept, pot_id: UUID
) -> Response:
    """One open pot: what is in it, its name and goal, and how to close it."""
    pot = await resources.read(lambda session: pot_of(session, caller.identity.owner_id, pot_id))
    details = {"name": pot.name, "goal": "" if pot.goal is None else formatting.input_rupees(pot.goal)}
    form = kept.form(Form(details))
    return render(
        request,
        "pot.html",
        status=form.status,
        pot=pot,
        wallet_account=caller.wallet.account_id,
        form=replace(form, values={**details, **form.values}),  # the form that closes has no fields
    )


@router.post("/pots/{pot_id}")
async def change(form: SubmittedForm, caller: Caller, resources: CurrentResources, pot_id: UUID) -> Response:
    """Rename the pot, and set its goal or take it away."""
    typed = form.read(ChangesForm)
    await in_transaction(
        resources.sessionmaker,
        lambda session: change_pot(session, owner_id=caller.owner_id, pot_id=pot_id, name=typed.name, goal=typed.goal),
    )
    return see_other(f"/pots/{pot_id}")


@router.post("/pots/{pot_id}/close")
async def close(form: SubmittedAction, caller: Caller, resources: CurrentResources, pot_id: UUID) -> Response:
    """Close the pot if it is empty; else its page says what to do first."""
    await in_transaction(
        resources.sessionmaker,
        lambda session: close_pot(session, owner_id=caller.owner_id, pot_id=pot_id),
    )
    return see_other("/pots")
