"""Pages that send money: find the recipient, enter the amount, confirm with the PIN. A shop's QR code opens one too."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from pydantic import TypeAdapter, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from services.user_app.pages.recent_recipients import recent_recipients
from shared.auth.tokens import Identity
from shared.http.dependencies import Caller, CurrentResources, PinCheck, ReadSession
from shared.http.fields import Body, Handle, Pin
from shared.http.keyed_requests import SEND_MONEY
from shared.http.query_parameters import OptionalSearch, OptionalText
from shared.ledger import statement
from shared.ledger.accounts import wallet_of
from shared.pages.forms import Form, Rupees, SubmittedForm
from shared.pages.rendering import render, see_other
from shared.pages.repeated_submit import retry_while_in_flight
from shared.transfers import commands
from shared.transfers.errors import RecipientNotFound
from shared.transfers.queries import find_payee, find_people
from shared.transfers.views import Payee, Person

router = APIRouter()

MAX_PEOPLE = 8
RECENT_LINES = 40
_SEARCH: TypeAdapter[str | None] = TypeAdapter(OptionalSearch)


class SendForm(Body):
    """The fields of the form that sends money."""

    to: Handle
    amount: Rupees
    note: OptionalText = None
    pin: Pin


@router.get("/send")
async def show_send(request: Request, caller: Caller, session: ReadSession) -> Response:
    """The amount form if `to` in the address is a wallet id; otherwise the search for a recipient by `to`."""
    asked = request.query_params
    payee = await _find_payee(session, caller, asked.get("to", ""))
    if payee is None:
        return await _show_search(request, caller, session, Form(dict(asked)))
    form = Form({name: asked.get(name, "") for name in ("amount", "note")})
    return await _show_form(request, caller, session, payee, form)


@router.get("/send/people")
async def suggest_people(request: Request, caller: Caller, session: ReadSession, q: str = "") -> Response:
    """The suggestions below the search field, loaded on each keystroke: a part of a page."""
    text = _search_text(q)
    people = await _find(session, caller, text)
    return render(request, "people.html", people=people, text=text)


@router.get("/pay/{wallet_id}")
async def show_pay(
    request: Request, caller: Caller, session: ReadSession, wallet_id: Annotated[str, Path(max_length=70)]
) -> Response:
    """The page that a shop's QR code opens. `amount` (rupees) and `note` in the address fill in the form."""
    payee = await _find_payee(session, caller, wallet_id)
    if payee is None:
        raise RecipientNotFound
    asked = request.query_params
    form = Form({name: asked.get(name, "") for name in ("amount", "note")})
    return await _show_form(request, caller, session, payee, form)


@router.post("/send")
async def send(
    request: Request, form: SubmittedForm, caller: Caller, check_pin: PinCheck, resources: CurrentResources
) -> Response:
    """Send the money and show the receipt. The same form submitted again shows the same receipt."""
    with form.catching():
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
            )
        )
        return see_other(f"/transfers/{answer.body['id']}")
    async with resources.read_sessionmaker() as session:
        payee = await _find_payee(session, caller, form.value("to"))
        if payee is None:
            return await _show_search(request, caller, session, form)
        return await _show_form(request, caller, session, payee, form)


async def _show_search(request: Request, caller: Identity, session: AsyncSession, form: Form) -> Response:
    text = _search_text(form.value("to"))
    wallet = await wallet_of(session, caller.owner_id)
    recent = await statement.read_page(session, wallet.id, limit=RECENT_LINES)
    return render(
        request,
        "send.html",
        status=form.status,
        form=form,
        text=text,
        people=await _find(session, caller, text),
        recipients=recent_recipients(recent.lines),
    )


async def _show_form(request: Request, caller: Identity, session: AsyncSession, payee: Payee, form: Form) -> Response:
    wallet = await wallet_of(session, caller.owner_id)
    return render(request, "send-form.html", status=form.status, form=form, payee=payee, available=wallet.available)


async def _find(session: AsyncSession, caller: Identity, text: str) -> list[Person]:
    if not text:
        return []
    return await find_people(session, asked_by=caller.owner_id, text=text, limit=MAX_PEOPLE)


async def _find_payee(session: AsyncSession, caller: Identity, wallet_id: str) -> Payee | None:
    if "\x00" in wallet_id:  # Postgres accepts no text with it
        return None
    return await find_payee(session, asked_by=caller.owner_id, wallet_id=wallet_id)


def _search_text(typed: str) -> str:
    try:
        return _SEARCH.validate_python(typed) or ""
    except ValidationError:  # no name has such characters
        return ""
