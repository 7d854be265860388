"""Withdrawing to a bank, as pages: the form, the queue, and one withdrawal live. The same in every app."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, BackgroundTasks, Request, Response
from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from shared.api.withdrawals import CurrentHint, WithdrawalIn, withdraw_once
from shared.auth.tokens import Identity
from shared.banks import account_numbers
from shared.banks.table import BANKS
from shared.http.dependencies import Caller, CurrentResources, PinCheck, ReadSession
from shared.http.fields import Body, Name, Pin
from shared.http.pagination import PageQuery, cursor_of
from shared.ledger.accounts import wallet_of
from shared.pages.forms import Form, Rupees, SubmittedForm
from shared.pages.rendering import render, see_other
from shared.pages.repeated_submit import retry_while_in_flight
from shared.pages.withdrawal_words import view_of
from shared.runtime.resources import Resources
from shared.withdrawals.commands import cancel_withdrawal
from shared.withdrawals.destinations import Destination, destination_of, recent_destinations
from shared.withdrawals.errors import WithdrawalNotFound
from shared.withdrawals.queries import get_withdrawal, list_withdrawals

router = APIRouter()

OFFERED_DESTINATIONS = 3
NEWEST = 3


def _account_number(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    number = account_numbers.account_number_from(value)
    if not account_numbers.is_account_number(number):
        raise PydanticCustomError("account_number", "An account number has 6 to 18 digits")
    return number


def _ifsc(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    code = account_numbers.ifsc_from(value)
    if not account_numbers.is_ifsc(code):
        raise PydanticCustomError("ifsc", "An IFSC looks like HDFC0000001: four letters, a zero, six more")
    return code


def _bank(value: Any) -> Any:
    if value not in BANKS:
        raise PydanticCustomError("bank", "Choose one of these banks")
    return value


class WithdrawForm(Body):
    """What is typed to withdraw to an account; spaces in numbers are how people read them off."""

    amount: Rupees
    bank: Annotated[str, BeforeValidator(_bank)]
    account_number: Annotated[str, BeforeValidator(_account_number)]
    ifsc: Annotated[str, BeforeValidator(_ifsc)]
    account_holder: Name
    pin: Pin


class WithdrawAgainForm(Body):
    """The same to where an earlier withdrawal went, which `again` names."""

    amount: Rupees
    again: UUID
    pin: Pin


@router.get("/withdraw")
async def show_withdraw(
    request: Request, caller: Caller, resources: CurrentResources, again: UUID | None = None
) -> Response:
    """The form; `again` in the address fills in where an earlier one went."""
    if again is not None:
        await _destination(resources, caller, again)  # somebody else's is not found
    return await _show_form(request, caller, resources, Form({"again": str(again)} if again is not None else {}))


@router.post("/withdraw")
async def withdraw(
    *,
    request: Request,
    form: SubmittedForm,
    caller: Caller,
    check_pin: PinCheck,
    resources: CurrentResources,
    hint: CurrentHint,
    afterwards: BackgroundTasks,
) -> Response:
    """Into the queue, and on to the page that follows it; sent again, on to the same page."""
    with form.catching():
        typed: WithdrawForm | WithdrawAgainForm
        if form.value("again"):
            typed = form.read(WithdrawAgainForm)
            body = _body(typed, await _destination(resources, caller, typed.again))
        else:
            typed = form.read(WithdrawForm)
            body = _body(typed, typed)
        await check_pin(typed.pin)
        answer = await retry_while_in_flight(lambda: withdraw_once(resources, caller, form.key, body))
        afterwards.add_task(hint, caller.owner_id)
        return see_other(f"/withdrawals/{answer.body['id']}")
    return await _show_form(request, caller, resources, form)


@router.get("/withdrawals")
async def show_withdrawals(request: Request, caller: Caller, session: ReadSession, page: PageQuery) -> Response:
    """All of them, newest first, those under way with their place in the queue."""
    found, before = await list_withdrawals(session, owner_id=caller.owner_id, limit=page.limit, before=page.after_id())
    return render(
        request,
        "withdrawals.html",
        withdrawals=[(each, view_of(each)) for each in found],
        is_continued=page.cursor is not None,
        next_cursor=None if before is None else cursor_of(before),
    )


@router.get("/withdrawals/{withdrawal_id}")
async def show_withdrawal(request: Request, caller: Caller, session: ReadSession, withdrawal_id: UUID) -> Response:
    """Where it stands, what it waits for and what happened so far."""
    shown = await get_withdrawal(session, owner_id=caller.owner_id, withdrawal_id=withdrawal_id)
    return render(request, "withdrawal.html", withdrawal=shown, view=view_of(shown), form=Form())


@router.post("/withdrawals/{withdrawal_id}/cancel")
async def cancel(
    request: Request, form: SubmittedForm, caller: Caller, resources: CurrentResources, withdrawal_id: UUID
) -> Response:
    """Take it back while it is queued, and show it again; too late is said on its page."""
    with form.catching():
        async with resources.sessionmaker.begin() as session:
            await cancel_withdrawal(session, owner_id=caller.owner_id, withdrawal_id=withdrawal_id)
        return see_other(f"/withdrawals/{withdrawal_id}")
    async with resources.read_sessionmaker() as session:
        shown = await get_withdrawal(session, owner_id=caller.owner_id, withdrawal_id=withdrawal_id)
    return render(request, "withdrawal.html", status=form.status, withdrawal=shown, view=view_of(shown), form=form)


async def _show_form(request: Request, caller: Identity, resources: Resources, form: Form) -> Response:
    async with resources.read_sessionmaker() as session:
        wallet = await wallet_of(session, caller.owner_id)
        known = await recent_destinations(session, owner_id=caller.owner_id, limit=OFFERED_DESTINATIONS)
        newest, _ = await list_withdrawals(session, owner_id=caller.owner_id, limit=NEWEST)
    return render(
        request,
        "withdraw.html",
        status=form.status,
        form=form,
        wallet=wallet,
        banks=[(bank.code, bank.name, "", "bank", True) for bank in BANKS.values()],
        chosen=await _chosen(resources, caller, form),
        destinations=known,
        newest=[(each, view_of(each)) for each in newest],
    )


async def _chosen(resources: Resources, caller: Identity, form: Form) -> Destination | None:
    try:
        return await _destination(resources, caller, UUID(form.value("again")))
    except (ValueError, WithdrawalNotFound):
        return None


async def _destination(resources: Resources, caller: Identity, withdrawal_id: UUID) -> Destination:
    async with resources.read_sessionmaker() as session:
        return await destination_of(session, owner_id=caller.owner_id, withdrawal_id=withdrawal_id)


def _body(typed: WithdrawForm | WithdrawAgainForm, to: WithdrawForm | Destination) -> WithdrawalIn:
    """As the API takes it, so that both ways in are one request to the idempotency key."""
    return WithdrawalIn(
        bank=to.bank,
        account_number=to.account_number,
        ifsc=to.ifsc,
        account_holder=to.account_holder,
        amount=typed.amount,
    )
