"""Pages that add money: choose the amount and the bank, go to the bank's own page, and see what became of it."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import quote, unquote, urlencode
from uuid import UUID

from fastapi import APIRouter, Request, Response

from services.user_app.banks import CurrentBanks, CurrentOnRampSettings
from services.user_app.pages.on_ramp_words import words_for
from shared.auth.tokens import Identity
from shared.http.cookies import set_cookie
from shared.http.dependencies import Caller, CurrentResources, SignedInCaller
from shared.http.fields import BankCode, Body
from shared.http.keyed_requests import START_ON_RAMP
from shared.idempotency.claims import Answer
from shared.models.on_ramp import OnRampStatus
from shared.on_ramps import commands, queries
from shared.on_ramps.errors import AlreadyDecided
from shared.pages import formatting
from shared.pages.forms import Form, Rupees, SubmittedForm
from shared.pages.kept_forms import CurrentKept
from shared.pages.paths import own_path
from shared.pages.rendering import render, see_other
from shared.pages.repeated_submit import retry_while_in_flight
from shared.runtime.resources import Resources

router = APIRouter()

NEWEST = 3
WAY_BACK = "way_back"
WAY_BACK_SECONDS = 60 * 60


class AddMoneyForm(Body):
    """The fields of the form that adds money."""

    amount: Rupees
    bank: BankCode


def way_back(request: Request) -> str | None:
    """Where the money was missing; None if the person came from no such page."""
    path = own_path(unquote(request.cookies.get(WAY_BACK, "")))
    return None if path == "/" else path


@router.get("/add-money")
async def show_add_money(
    request: Request, caller: Caller, resources: CurrentResources, banks: CurrentBanks, kept: CurrentKept
) -> Response:
    """The form. `amount` (rupees) and `bank` in the address fill it in; afterwards it leads on to `next`."""
    asked = request.query_params
    blank = Form({name: asked[name] for name in ("amount", "bank", "next") if name in asked})
    blank.read_amount_of_address()
    form = kept.form(blank)
    up = await banks.up()
    newest, _ = await queries.list_on_ramps(resources.reads, owner_id=caller.owner_id, limit=NEWEST)
    return render(
        request,
        "add-money.html",
        status=form.status,
        form=form,
        next_path=own_path(form.value("next")),
        banks=[
            (code, client.bank.name, "Open now" if up[code] else "Not answering now", "bank", up[code])
            for code, client in banks.clients.items()
        ],
        is_any_up=any(up.values()),
        newest=[(each, words_for(each)) for each in newest],
    )


@router.post("/add-money")
async def add_money(
    *,
    request: Request,
    form: SubmittedForm,
    caller: Caller,
    resources: CurrentResources,
    banks: CurrentBanks,
    settings: CurrentOnRampSettings,
) -> Response:
    """Start the on-ramp and go to the bank. The same form submitted again leads to the same session or its result."""
    typed = form.read(AddMoneyForm)
    answer = await retry_while_in_flight(
        lambda: commands.start(
            START_ON_RAMP.request(caller.owner_id, form.key),
            bank=typed.bank,
            amount=typed.amount,
            sessionmaker=resources.sessionmaker,
            clients=banks.clients,
            marks=resources.marks,
            settings=settings,
        ),
        of="on_ramp_id",
    )
    response = see_other(await _next_path(resources, caller, answer))
    if (wanted := own_path(form.value("next"))) != "/":
        set_cookie(
            response,
            WAY_BACK,
            quote(wanted, safe=""),
            settings=resources.settings,
            max_age=WAY_BACK_SECONDS,
            path=f"/on-ramps/{answer.body['id']}",  # the page of this on-ramp, and no other, leads on
        )
    return response


@router.get("/on-ramps/{on_ramp_id}")
async def show_on_ramp(
    request: Request, caller: SignedInCaller, resources: CurrentResources, on_ramp_id: UUID
) -> Response:
    """The page that the bank sends people back to. It shows what we know: that they come back proves nothing."""
    on_ramp = await queries.get_on_ramp(resources.reads, owner_id=caller.identity.owner_id, on_ramp_id=on_ramp_id)
    next_path = way_back(request)
    again = {"bank": on_ramp.bank, "amount": formatting.input_rupees(on_ramp.amount)}
    if next_path is not None:
        again["next"] = next_path
    return render(
        request,
        "on-ramp.html",
        on_ramp=on_ramp,
        words=words_for(on_ramp, balance=caller.wallet.balance),
        again_path=f"/add-money?{urlencode(again)}",
        next_path=next_path,
    )


@router.post("/on-ramps/{on_ramp_id}/cancel")
async def cancel(
    *,
    caller: Caller,
    resources: CurrentResources,
    banks: CurrentBanks,
    settings: CurrentOnRampSettings,
    on_ramp_id: UUID,
) -> Response:
    """Cancel the on-ramp and show what became of it: the bank's word decides, so it may have been paid."""
    with suppress(AlreadyDecided):
        await commands.cancel(
            owner_id=caller.owner_id,
            on_ramp_id=on_ramp_id,
            sessionmaker=resources.sessionmaker,
            clients=banks.clients,
            settings=settings,
        )
    return see_other(f"/on-ramps/{on_ramp_id}")


async def _next_path(resources: Resources, caller: Identity, answer: Answer) -> str:
    """The bank's page. A form submitted again after its payment was decided leads to the on-ramp's own page."""
    on_ramp_id, redirect_url = UUID(answer.body["id"]), answer.body["redirect_url"]
    if answer.is_replayed:
        on_ramp = await queries.get_on_ramp(resources.reads, owner_id=caller.owner_id, on_ramp_id=on_ramp_id)
        redirect_url = redirect_url if on_ramp.status is OnRampStatus.PENDING else None
    return redirect_url or f"/on-ramps/{on_ramp_id}"
