"""Pages of withdrawals: the form, the queue, and one withdrawal as it goes on. The same in every app."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, BackgroundTasks, Request, Response
from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from shared.auth.sessions import SignedIn
from shared.auth.tokens import Identity
from shared.banks import account_numbers
from shared.banks.table import BANKS
from shared.http.dependencies import Caller, CurrentResources, PinCheck, SignedInCaller
from shared.http.fields import Body, HolderName, Pin
from shared.http.keyed_requests import WITHDRAW
from shared.http.pagination import PageQuery, cursor_of
from shared.http.withdrawals import CurrentWorkerHint
from shared.pages.forms import Form, Rupees, SubmittedForm
from shared.pages.rendering import render, see_other
from shared.pages.repeated_submit import retry_while_in_flight
from shared.pages.withdrawal_words import words_for
from shared.runtime.resources import Resources
from shared.withdrawals import commands, queries
from shared.withdrawals.errors import WithdrawalNotFound
from shared.withdrawals.views import Destination, WithdrawalDetail

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
    """The fields of the form that withdraws to an account. People put blanks between groups of digits."""

    amount: Rupees
    bank: Annotated[str, BeforeValidator(_bank)]
    account_number: Annotated[str, BeforeValidator(_account_number)]
    ifsc: Annotated[str, BeforeValidator(_ifsc)]
    account_holder: HolderName
    pin: Pin


class WithdrawAgainForm(Body):
    """The fields of the form that withdraws to where an earlier withdrawal went, which `again` names."""

    amount: Rupees
    again: UUID
    pin: Pin


@router.get("/withdraw")
async def show_withdraw(
    request: Request, caller: SignedInCaller, resources: CurrentResources, again: UUID | None = None
) -> Response:
    """The form. `again` in the address names an earlier withdrawal, whose account is filled in."""
    if again is not None:
        await _destination(resources, caller.identity, again)  # another owner's is not found
    return await _show_form(request, caller, resources, Form({"again": str(again)} if again is not None else {}))


@router.post("/withdraw")
async def withdraw(
    *,
    request: Request,
    form: SubmittedForm,
    caller: SignedInCaller,
    check_pin: PinCheck,
    resources: CurrentResources,
    hint: CurrentWorkerHint,
    afterwards: BackgroundTasks,
) -> Response:
    """Request the withdrawal and go to its page. The same form submitted again leads to the same page."""
    with form.catching():
        typed: WithdrawForm | WithdrawAgainForm
        to: WithdrawForm | Destination
        if form.value("again"):
            typed = form.read(WithdrawAgainForm)
            to = await _destination(resources, caller.identity, typed.again)
        else:
            typed = to = form.read(WithdrawForm)
        await check_pin(typed.pin)
        answer = await retry_while_in_flight(
            lambda: commands.request(
                WITHDRAW.request(caller.identity.owner_id, form.key),
                bank=to.bank,
                account_number=to.account_number,
                ifsc=to.ifsc,
                account_holder=to.account_holder,
                amount=typed.amount,
                sessionmaker=resources.sessionmaker,
                marks=resources.marks,
                limits=resources.settings.limits,
            )
        )
        afterwards.add_task(hint, caller.identity.owner_id)
        return see_other(f"/withdrawals/{answer.body['id']}")
    return await _show_form(request, caller, resources, form)


@router.get("/withdrawals")
async def show_withdrawals(request: Request, caller: Caller, resources: CurrentResources, page: PageQuery) -> Response:
    """All withdrawals, newest first. Those that are not finished show their place in the queue."""
    found, before = await queries.list_withdrawals(
        resources.reads, owner_id=caller.owner_id, limit=page.limit, before=page.after_id()
    )
    return render(
        request,
        "withdrawals.html",
        withdrawals=[(each, words_for(each)) for each in found],
        is_continued=page.cursor is not None,
        next_cursor=None if before is None else cursor_of(before),
    )


@router.get("/withdrawals/{withdrawal_id}")
async def show_withdrawal(
    request: Request, caller: Caller, resources: CurrentResources, withdrawal_id: UUID
) -> Response:
    """One withdrawal: its status, what it waits for and what has happened."""
    detail = await queries.get_withdrawal(resources.reads, owner_id=caller.owner_id, withdrawal_id=withdrawal_id)
    return _show_detail(request, detail, Form())


@router.post("/withdrawals/{withdrawal_id}/cancel")
async def cancel(
    request: Request, form: SubmittedForm, caller: Caller, resources: CurrentResources, withdrawal_id: UUID
) -> Response:
    """Cancel it while it is queued, and show it again. If it is too late, its page says so."""
    with form.catching():
        async with resources.sessionmaker.begin() as session:
            await commands.cancel(session, owner_id=caller.owner_id, withdrawal_id=withdrawal_id)
        return see_other(f"/withdrawals/{withdrawal_id}")
    detail = await queries.get_withdrawal(resources.reads, owner_id=caller.owner_id, withdrawal_id=withdrawal_id)
    return _show_detail(request, detail, form)


def _show_detail(request: Request, detail: WithdrawalDetail, form: Form) -> Response:
    return render(
        request,
        "withdrawal.html",
        status=form.status,
        withdrawal=detail.withdrawal,
        words=words_for(detail.withdrawal, detail.timeline),
        form=form,
    )


async def _show_form(request: Request, caller: SignedIn, resources: Resources, form: Form) -> Response:
    reads, owner_id = resources.reads, caller.identity.owner_id
    destinations = await queries.list_destinations(reads, owner_id=owner_id, limit=OFFERED_DESTINATIONS)
    newest, _ = await queries.list_withdrawals(reads, owner_id=owner_id, limit=NEWEST)
    return render(
        request,
        "withdraw.html",
        status=form.status,
        form=form,
        wallet=caller.wallet,
        banks=[(bank.code, bank.name, "", "bank", True) for bank in BANKS.values()],
        chosen=await _chosen(resources, caller.identity, form),
        destinations=destinations,
        newest=[(each, words_for(each)) for each in newest],
    )


async def _chosen(resources: Resources, caller: Identity, form: Form) -> Destination | None:
    try:
        return await _destination(resources, caller, UUID(form.value("again")))
    except (ValueError, WithdrawalNotFound):
        return None


async def _destination(resources: Resources, caller: Identity, withdrawal_id: UUID) -> Destination:
    return await queries.get_destination(resources.reads, owner_id=caller.owner_id, withdrawal_id=withdrawal_id)
