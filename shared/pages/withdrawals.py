"""Pages of withdrawals: the form and its review, the queue, and one withdrawal as it goes on. The same in every app."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, BackgroundTasks, Depends, Request, Response
from pydantic import BeforeValidator, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from shared.auth.sessions import SignedIn
from shared.auth.tokens import Identity
from shared.banks import account_numbers
from shared.banks.table import BANKS
from shared.db.retries import in_transaction
from shared.http.dependencies import Caller, CurrentResources, PinCheck, SignedInCaller
from shared.http.fields import Body, HolderName, Pin
from shared.http.keyed_requests import WITHDRAW
from shared.http.pagination import PageQuery, cursor_of
from shared.http.withdrawals import CurrentWorkerHint
from shared.idempotency.claims import Answer
from shared.ledger.accounts import require_available
from shared.pages import formatting
from shared.pages.forms import Form, Rupees, SubmittedAction, SubmittedForm
from shared.pages.kept_forms import CurrentKept, KeptForms, Reviewed
from shared.pages.reminders import remind_of_pin
from shared.pages.rendering import render, see_other
from shared.pages.repeated_submit import retry_while_in_flight
from shared.pages.withdrawal_words import words_for
from shared.runtime.resources import Resources
from shared.withdrawals import commands, queries
from shared.withdrawals.errors import WithdrawalNotFound
from shared.withdrawals.views import Destination

router = APIRouter()

WITHDRAW_PATH, REVIEW = "/withdraw", "/withdraw/review"
ReviewedForm = Annotated[Form, Depends(Reviewed(WITHDRAW_PATH))]
OFFERED_DESTINATIONS = 4
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


def _require_branch(bank: str | None, ifsc: str) -> None:
    if bank is not None and not BANKS[bank].has_branch(ifsc):
        words = "The codes of {name} begin with {prefix}0. Check bank and code"
        raise PydanticCustomError("ifsc", words, {"name": BANKS[bank].name, "prefix": BANKS[bank].ifsc_prefix})


def _bank(value: Any) -> Any:
    if value not in BANKS:
        raise PydanticCustomError("bank", "Choose one of these banks")
    return value


class AccountForm(Body):
    """How much to which new account. People put blanks between groups of digits."""

    amount: Rupees
    bank: Annotated[str, BeforeValidator(_bank)]
    account_number: Annotated[str, BeforeValidator(_account_number)]
    account_number_again: str
    ifsc: Annotated[str, BeforeValidator(_ifsc)]
    account_holder: HolderName

    @field_validator("account_number_again")
    @classmethod
    def _same_number(cls, again: str, others: ValidationInfo) -> str:
        number = others.data.get("account_number")
        if number is not None and account_numbers.account_number_from(again) != number:
            raise PydanticCustomError("account_number_again", "The two account numbers are not the same")
        return again

    @field_validator("ifsc")
    @classmethod
    def _branch_of_bank(cls, ifsc: str, others: ValidationInfo) -> str:
        _require_branch(others.data.get("bank"), ifsc)
        return ifsc


class AgainForm(Body):
    """How much to where an earlier withdrawal went, which `again` names."""

    amount: Rupees
    again: UUID


class PinForm(Body):
    """What the review adds."""

    pin: Pin


@router.get("/withdraw")
async def show_withdraw(
    request: Request, caller: SignedInCaller, resources: CurrentResources, kept: CurrentKept, again: UUID | None = None
) -> Response:
    """The form. `again` in the address names an earlier withdrawal, whose account is filled in."""
    if again is not None:
        await _destination(resources, caller.identity, again)  # another owner's is not found
    form = kept.form(Form({"again": str(again)}) if again is not None else None)
    return await _show_form(request, caller, resources, form, kept)


@router.post("/withdraw")
async def withdraw(
    form: SubmittedForm, caller: SignedInCaller, resources: CurrentResources, kept: CurrentKept
) -> Response:
    """Check what was typed and go to its review. Nothing moves yet."""
    typed, _ = await _read(resources, caller.identity, form)
    require_available(caller.wallet, typed.amount)
    return kept.go_to(REVIEW, form)


@router.get(REVIEW)
async def show_review(
    request: Request, caller: SignedInCaller, resources: CurrentResources, kept: CurrentKept
) -> Response:
    """How much goes to which account. The PIN is typed here."""
    form = kept.form(purpose=WITHDRAW_PATH)
    if not form.values:
        return await _show_form(request, caller, resources, form, kept)
    typed, to = await _read(resources, caller.identity, form)
    return render(
        request,
        "withdraw-review.html",
        form=form,
        sealed=kept.sealed(form),
        amount=typed.amount,
        to=to,
        bank=BANKS[to.bank].name,
        is_new=isinstance(to, AccountForm),
    )


@router.post(REVIEW)
async def withdraw_reviewed(
    *,
    form: ReviewedForm,
    caller: Caller,
    check_pin: PinCheck,
    resources: CurrentResources,
    hint: CurrentWorkerHint,
    afterwards: BackgroundTasks,
) -> Response:
    """Request what was reviewed, under the key of the form it came from, and go to its page."""
    pin = form.read(PinForm).pin
    await check_pin(pin)
    answer = await _request(resources, caller, form)
    afterwards.add_task(hint, caller.owner_id)
    return remind_of_pin(see_other(f"/withdrawals/{answer.body['id']}"), resources.settings, pin)


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
    request: Request, caller: Caller, resources: CurrentResources, kept: CurrentKept, withdrawal_id: UUID
) -> Response:
    """One withdrawal: its status, what it waits for and what has happened."""
    detail = await queries.get_withdrawal(resources.reads, owner_id=caller.owner_id, withdrawal_id=withdrawal_id)
    form = kept.form()
    return render(
        request,
        "withdrawal.html",
        status=form.status,
        withdrawal=detail.withdrawal,
        words=words_for(detail.withdrawal, detail.timeline),
        form=form,
    )


@router.post("/withdrawals/{withdrawal_id}/cancel")
async def cancel(form: SubmittedAction, caller: Caller, resources: CurrentResources, withdrawal_id: UUID) -> Response:
    """Cancel it while it is queued, and show it again. If it is too late, its page says so."""
    await in_transaction(
        resources.sessionmaker,
        lambda session: commands.cancel(session, owner_id=caller.owner_id, withdrawal_id=withdrawal_id),
    )
    return see_other(form.page)


async def _read(
    resources: Resources, caller: Identity, form: Form
) -> tuple[AccountForm | AgainForm, AccountForm | Destination]:
    """How much, and where to. Raises InvalidRequest, WithdrawalNotFound."""
    if not form.value("again"):
        typed = form.read(AccountForm)
        return typed, typed
    repeated = form.read(AgainForm)
    return repeated, await _destination(resources, caller, repeated.again)


async def _request(resources: Resources, caller: Identity, form: Form) -> Answer:
    typed, to = await _read(resources, caller, form)
    return await retry_while_in_flight(
        lambda: commands.request(
            WITHDRAW.request(caller.owner_id, form.key),
            bank=to.bank,
            account_number=to.account_number,
            ifsc=to.ifsc,
            account_holder=to.account_holder,
            amount=typed.amount,
            sessionmaker=resources.sessionmaker,
            marks=resources.marks,
            number_keys=resources.number_keys,
            limits=resources.settings.limits,
            max_unfinished=resources.settings.quotas.unfinished_withdrawals,
            quotas=resources.quotas.withdrawals,
            requires_verified_email=resources.settings.requires_verified_email,
        ),
        of="withdrawal_id",
    )


async def _show_form(request: Request, caller: SignedIn, resources: Resources, form: Form, kept: KeptForms) -> Response:
    reads, owner_id = resources.reads, caller.identity.owner_id
    destinations = await _offered(resources, caller.identity, form)
    newest, _ = await queries.list_withdrawals(reads, owner_id=owner_id, limit=NEWEST)
    return render(
        request,
        "withdraw.html",
        status=form.status,
        form=form,
        wallet=caller.wallet,
        banks=[(bank.code, bank.name, "", "bank", True) for bank in BANKS.values()],
        destinations=[
            (str(each.withdrawal_id), formatting.masked(each.account_number), _note(each), "bank", True)
            for each in destinations
        ],
        picked=_picked(form, destinations),
        back_path=f"{WITHDRAW_PATH}?form={kept.sealed(form.as_typed)}" if form.missing else WITHDRAW_PATH,
        newest=[(each, words_for(each)) for each in newest],
    )


async def _offered(resources: Resources, caller: Identity, form: Form) -> list[Destination]:
    """The accounts to choose from: that of the form, wherever it went, and where the owner withdrew to lately."""
    found = await queries.list_destinations(
        resources.reads, owner_id=caller.owner_id, limit=OFFERED_DESTINATIONS, number_keys=resources.number_keys
    )
    with suppress(ValueError, WithdrawalNotFound):
        chosen = await _destination(resources, caller, UUID(form.value("again")))
        return [chosen, *(each for each in found if each.account != chosen.account)]
    return found


def _note(account: Destination) -> str:
    return f"{account.account_holder}, {BANKS[account.bank].name}"


def _picked(form: Form, offered: Sequence[Destination]) -> str:
    """Which of the accounts is chosen, as its withdrawal's id; empty for a new one. First it is the latest."""
    is_new = not form.value("again") and not form.values.keys().isdisjoint({"again", "account_number"})
    return "" if is_new or not offered else str(offered[0].withdrawal_id)


async def _destination(resources: Resources, caller: Identity, withdrawal_id: UUID) -> Destination:
    return await queries.get_destination(
        resources.reads, owner_id=caller.owner_id, withdrawal_id=withdrawal_id, number_keys=resources.number_keys
    )
