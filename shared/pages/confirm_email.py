"""Confirming an email address on pages, the same in both apps: the link's page, and the one that sends it again."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from shared.auth import email_confirmation
from shared.auth.errors import ConfirmationLinkInvalid
from shared.auth.rules import MAX_TOKEN_LENGTH
from shared.auth.secrets_change import SecretsChange
from shared.http.dependencies import Caller, ClientAddress, CurrentResources
from shared.http.fields import Body, Email, GivenPassword
from shared.http.problems import status_of
from shared.pages.forms import Form, SubmittedAction, SubmittedForm
from shared.pages.kept_forms import CurrentKept
from shared.pages.paths import EMAIL
from shared.pages.rendering import render, see_other

router = APIRouter()

_Token = Annotated[str, Query(max_length=MAX_TOKEN_LENGTH)]


class CorrectionForm(Body):
    """The right address, and the password."""

    email: Email
    current_password: GivenPassword


@router.get("/confirm-email")
async def show_link(request: Request, resources: CurrentResources, token: _Token = "") -> Response:
    """The page of the link. It confirms nothing by itself: programs that look at mail open links too."""
    try:
        address = await resources.read(lambda session: email_confirmation.address_of(session, token))
    except ConfirmationLinkInvalid as error:
        return _invalid(request, error)
    return render(request, "confirm-email.html", state="ask", address=address, token=token)


@router.post("/confirm-email")
async def confirm(request: Request, form: SubmittedForm, resources: CurrentResources) -> Response:
    """Confirm the address, with or without a session."""
    try:
        await email_confirmation.confirm(resources.sessionmaker, form.value("token"))
    except ConfirmationLinkInvalid as error:
        return _invalid(request, error)
    return see_other("/email-confirmed")


@router.get("/email-confirmed")
async def show_confirmed(request: Request) -> Response:
    """What comes after the button."""
    return render(request, "confirm-email.html", state="done", address="", token="")


@router.get(EMAIL)
async def show_email(
    request: Request,
    caller: Caller,
    resources: CurrentResources,
    kept: CurrentKept,
    sent: Annotated[str, Query(max_length=1)] = "",
) -> Response:
    """Send the link again, or correct the address."""
    form = kept.form(Form({"email": "", "current_password": ""}))
    address = await resources.read(lambda session: email_confirmation.awaited_address(session, caller.owner_id))
    return render(request, "email.html", status=form.status, form=form, address=address, is_sent=bool(sent))


@router.post(EMAIL)
async def correct(form: SubmittedForm, caller: Caller, address: ClientAddress, resources: CurrentResources) -> Response:
    """Send a link to another address."""
    typed = form.read(CorrectionForm)
    await email_confirmation.correct(
        resources.sessionmaker,
        identity=caller,
        proof=SecretsChange(address=address, current_password=typed.current_password.get_secret_value()),
        address=typed.email,
        app_url=resources.settings.public_url,
        hasher=resources.hasher,
        throttle=resources.throttle,
    )
    return see_other(f"{EMAIL}?sent=1")


@router.post(f"{EMAIL}/resend")
async def send_again(form: SubmittedAction, caller: Caller, resources: CurrentResources) -> Response:
    """Send a new link to the same address."""
    await email_confirmation.send_again(
        resources.sessionmaker, owner_id=caller.owner_id, app_url=resources.settings.public_url
    )
    return see_other(f"{EMAIL}?sent=1")


def _invalid(request: Request, error: ConfirmationLinkInvalid) -> Response:
    return render(request, "confirm-email.html", status=status_of(error), state="invalid", address="", token="")
