"""Pages that send money: find the recipient, enter the amount, confirm with the PIN. A shop's QR code opens one too.

Before the first payment to a person, a page of its own shows who gets how much; the PIN is typed there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import TypeAdapter, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import QueryParams

from services.user_app.pages.pay_invitation import show_invitation
from services.user_app.pages.recent_recipients import recent_recipients
from shared.auth.tokens import Identity
from shared.errors import Unauthenticated
from shared.http.dependencies import Caller, CurrentResources, PinCheck, SignedInCaller, signed_in
from shared.http.fields import Body, Handle, Pin
from shared.http.keyed_requests import SEND_MONEY
from shared.http.query_parameters import OptionalSearch, OptionalText
from shared.ledger import statement
from shared.ledger.accounts import require_available, wallet_of
from shared.models import Account
from shared.pages.error_pages import wants_page
from shared.pages.forms import Form, Rupees, SubmittedForm
from shared.pages.kept_forms import CurrentKept, Reviewed
from shared.pages.reminders import remind_of_pin
from shared.pages.rendering import render, see_other
from shared.pages.repeated_submit import retry_while_in_flight
from shared.pages.typed_amounts import Clear, read_amount
from shared.runtime.resources import Resources
from shared.transfers import commands
from shared.transfers.errors import RecipientNotFound
from shared.transfers.queries import find_payee, find_people
from shared.transfers.views import Payee, Person

router = APIRouter()

SEND, REVIEW = "/send", "/send/review"
ReviewedForm = Annotated[Form, Depends(Reviewed(SEND))]
MAX_PEOPLE = 8
RECENT_LINES = 40
_SEARCH: TypeAdapter[str | None] = TypeAdapter(OptionalSearch)


class PaymentForm(Body):
    """Who gets how much, and what for."""

    to: Handle
    amount: Rupees
    note: OptionalText = None


class SendForm(PaymentForm):
    """The fields of the form that sends money."""

    pin: Pin


@dataclass(frozen=True, slots=True)
class ChosenPayee:
    """Who is to get money, from which wallet. `is_first`: a person who never got money from it."""

    payee: Payee
    wallet: Account
    is_first: bool


@router.get("/send")
async def show_send(request: Request, caller: Caller, resources: CurrentResources, kept: CurrentKept) -> Response:
    """The amount form if `to` is a wallet id; otherwise the search for a recipient by `to`."""
    form = kept.form(_asked_for(request.query_params))
    found = await resources.read(lambda session: _choose_payee(session, caller, form.value("to")))
    if found is None:
        return await _show_search(request, resources, caller, form)
    return _show_form(request, found, form)


@router.get("/send/people")
async def suggest_people(request: Request, caller: Caller, resources: CurrentResources, q: str = "") -> Response:
    """The suggestions below the search field, loaded on each keystroke: a part of a page."""
    text = _search_text(q)
    people = await _find(resources, caller, text)
    return render(request, "people.html", people=people, text=text)


@router.get("/pay/{wallet_id}")
async def show_pay(
    request: Request, resources: CurrentResources, wallet_id: Annotated[str, Path(max_length=70)]
) -> Response:
    """The page that a shop's QR code opens. `amount` (rupees) and `note` in the address fill in the form.

    Without a session it says what the link asks for, and sign-in leads back here.
    """
    try:
        caller = (await signed_in(request)).identity
    except Unauthenticated:
        if not wants_page(request):
            raise
        return await show_invitation(request, resources, wallet_id)
    found = await resources.read(lambda session: _choose_payee(session, caller, wallet_id))
    if found is None:
        raise RecipientNotFound
    return _show_form(request, found, _asked_for(request.query_params))


@router.post("/send")
async def send(
    form: SubmittedForm, caller: Caller, check_pin: PinCheck, resources: CurrentResources, kept: CurrentKept
) -> Response:
    """Send the money and show the receipt. The same form submitted again shows the same receipt.

    A first payment to a person leads to its review instead.
    """
    if await _is_to_be_reviewed(resources, caller, form):
        return kept.go_to(REVIEW, form)
    return await _pay(form, caller, check_pin, resources)


@router.get(REVIEW)
async def show_review(
    request: Request, caller: SignedInCaller, resources: CurrentResources, kept: CurrentKept
) -> Response:
    """Who gets how much, before the first payment to a person. The PIN is typed here."""
    form = kept.form(purpose=SEND)
    payee = await resources.read(lambda session: _find_payee(session, caller.identity, form.value("to")))
    if payee is None:
        return await _show_search(request, resources, caller.identity, form)
    payment = form.read(PaymentForm)
    return render(
        request,
        "send-review.html",
        form=form,
        sealed=kept.sealed(form),
        payee=payee,
        payment=payment,
        left=caller.wallet.available - payment.amount,
    )


@router.post(REVIEW)
async def send_reviewed(
    form: ReviewedForm, caller: Caller, check_pin: PinCheck, resources: CurrentResources
) -> Response:
    """Send what was reviewed, under the key of the form it came from, and show the receipt."""
    return await _pay(form, caller, check_pin, resources)


async def _pay(form: Form, caller: Identity, check_pin: PinCheck, resources: Resources) -> Response:
    typed = form.read(SendForm)
    await check_pin(typed.pin)
    sender = await resources.senders.find(owner_id=caller.owner_id, session_id=caller.session_id, to=typed.to)
    answer = await retry_while_in_flight(
        lambda: commands.send(
            SEND_MONEY.request(caller.owner_id, form.key),
            sender=sender,
            amount=typed.amount,
            note=typed.note,
            group_commit=resources.group_commit,
            marks=resources.marks,
            limits=resources.settings.limits,
            quotas=resources.quotas,
        ),
        of="transfer_id",
    )
    return remind_of_pin(see_other(f"/transfers/{answer.body['id']}"), resources.settings, typed.pin)


async def _is_to_be_reviewed(resources: Resources, caller: Identity, form: Form) -> bool:
    """Whether this is a first payment to a person. Raises InvalidRequest, InsufficientFunds if it cannot be made."""
    found = await resources.read(lambda session: _choose_payee(session, caller, form.value("to")))
    if found is None or not found.is_first:
        return False
    require_available(found.wallet, form.read(PaymentForm).amount)
    return True


async def _choose_payee(session: AsyncSession, caller: Identity, wallet_id: str) -> ChosenPayee | None:
    payee = await _find_payee(session, caller, wallet_id)
    if payee is None:
        return None
    wallet = await wallet_of(session, caller.owner_id)
    is_person = not payee.is_shop and not payee.is_oneself
    is_first = is_person and not await statement.has_paid(session, wallet, payee.wallet_id)
    return ChosenPayee(payee, wallet, is_first)


def _asked_for(asked: QueryParams) -> Form:
    form = Form({name: asked[name] for name in ("to", "amount", "note") if name in asked})
    form.read_amount_of_address()
    return form


async def _show_search(request: Request, resources: Resources, caller: Identity, form: Form) -> Response:
    text = _search_text(form.value("to"))
    people: list[Person] = []
    with form.catching():
        people = await _find(resources, caller, text)
    recent = await resources.read(lambda session: _recent(session, caller))
    return render(
        request,
        "send.html",
        status=form.status,
        form=form,
        text=text,
        people=people,
        recipients=recent_recipients(recent.lines),
    )


async def _recent(session: AsyncSession, caller: Identity) -> statement.StatementPage:
    wallet = await wallet_of(session, caller.owner_id)
    return await statement.read_page(session, wallet.id, limit=RECENT_LINES)


def _show_form(request: Request, chosen: ChosenPayee, form: Form) -> Response:
    available, asked = chosen.wallet.available, read_amount(form.value("amount"))
    if isinstance(asked, Clear) and asked.paise > available:
        form.missing = asked.paise - available
    return render(
        request,
        "send-form.html",
        status=form.status,
        form=form,
        payee=chosen.payee,
        available=available,
        is_first=chosen.is_first,
    )


async def _find(resources: Resources, caller: Identity, text: str) -> list[Person]:
    """Raises FilterTooShort, TooManySearches."""
    if not text:
        return []
    with resources.quotas.search(caller.owner_id):
        return await resources.search(
            lambda session: find_people(session, asked_by=caller.owner_id, text=text, limit=MAX_PEOPLE)
        )


async def _find_payee(session: AsyncSession, caller: Identity, wallet_id: str) -> Payee | None:
    if "\x00" in wallet_id:  # Postgres accepts no text with it
        return None
    return await find_payee(session, asked_by=caller.owner_id, wallet_id=wallet_id)


def _search_text(typed: str) -> str:
    try:
        return _SEARCH.validate_python(typed) or ""
    except ValidationError:  # no name has such characters
        return ""
