"""Sending money: find whom, say how much, confirm with the PIN; and what a shop's code opens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Path, Request, Response
from pydantic import TypeAdapter, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from services.user_app.api.transfers import TransferIn, send_once
from services.user_app.pages.movements import faces
from shared.auth.tokens import Identity
from shared.http.dependencies import Caller, CurrentResources, PinCheck, ReadSession
from shared.http.fields import Body, Handle, Pin
from shared.http.query_parameters import OptionalSearch, OptionalText
from shared.ledger import statement
from shared.ledger.accounts import wallet_of
from shared.ledger.parties import holder_of_wallet
from shared.pages.forms import Form, Rupees, SubmittedForm
from shared.pages.rendering import render, see_other
from shared.pages.repeated_submit import answered_once
from shared.transfers.errors import RecipientNotFound
from shared.transfers.queries import Person, find_people

router = APIRouter()

MAX_PEOPLE = 8
RECENT_LINES = 40
_SEARCH: TypeAdapter[str | None] = TypeAdapter(OptionalSearch)


class SendForm(Body):
    """What is typed to send money."""

    to: Handle
    amount: Rupees
    note: OptionalText = None
    pin: Pin


@dataclass(frozen=True, slots=True)
class Payee:
    """Who would get the money."""

    name: str
    wallet_id: str
    is_shop: bool
    is_oneself: bool


@router.get("/send")
async def show_send(request: Request, caller: Caller, session: ReadSession) -> Response:
    """Whom to send to. Once `to` in the address is a wallet id: how much; until then it is what to search for."""
    asked = request.query_params
    payee = await _find_payee(session, caller, asked.get("to", ""))
    if payee is None:
        return await _show_search(request, caller, session, Form(dict(asked)))
    form = Form({name: asked.get(name, "") for name in ("amount", "note")})
    return await _show_form(request, caller, session, payee, form)


@router.get("/send/people")
async def suggest_people(request: Request, caller: Caller, session: ReadSession, q: str = "") -> Response:
    """The list below the search field while somebody types: a piece of the page, not a page."""
    text = _search_text(q)
    people = await _find(session, caller, text)
    return render(request, "people.html", people=people, text=text)


@router.get("/pay/{wallet_id}")
async def show_pay(
    request: Request, caller: Caller, session: ReadSession, wallet_id: Annotated[str, Path(max_length=70)]
) -> Response:
    """What a shop's code opens; `?amount=` in rupees, and a `note`, may be asked for."""
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
    """Send, and on to the receipt; sent again, on to the same receipt."""
    with form.catching():
        typed = form.read(SendForm)
        await check_pin(typed.pin)
        body = TransferIn(to=typed.to, amount=typed.amount, note=typed.note)
        answer = await answered_once(lambda: send_once(resources, caller, form.key, body))
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
        faces=faces(recent.lines),
    )


async def _show_form(request: Request, caller: Identity, session: AsyncSession, payee: Payee, form: Form) -> Response:
    wallet = await wallet_of(session, caller.owner_id)
    return render(request, "send-form.html", status=form.status, form=form, payee=payee, available=wallet.available)


async def _find(session: AsyncSession, caller: Identity, text: str) -> list[Person]:
    if not text:
        return []
    return await find_people(session, asked_by=caller.owner_id, text=text, limit=MAX_PEOPLE)


async def _find_payee(session: AsyncSession, caller: Identity, wallet_id: str) -> Payee | None:
    holder = await holder_of_wallet(session, wallet_id) if _is_text(wallet_id) else None
    if holder is None:
        return None
    seen = holder.seen_by(caller.owner_id)
    assert seen.wallet_id is not None
    return Payee(seen.name, seen.wallet_id, holder.kind == "merchant", holder.owner_id == caller.owner_id)


def _is_text(typed: str) -> bool:
    return "\x00" not in typed


def _search_text(typed: str) -> str:
    try:
        return _SEARCH.validate_python(typed) or ""
    except ValidationError:  # nobody has a name like that
        return ""
