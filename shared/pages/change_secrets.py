"""Changing the password and the PIN on pages, the same in both apps."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from shared.auth import commands
from shared.auth.secrets_change import SecretsChange
from shared.auth.tokens import Identity
from shared.http.dependencies import Caller, ClientAddress, CurrentResources
from shared.http.fields import Body, GivenPassword, Password, Pin
from shared.pages.forms import SubmittedForm
from shared.pages.kept_forms import CurrentKept, KeptForms
from shared.pages.reminders import Reminder, forget
from shared.pages.rendering import render, see_other
from shared.runtime.resources import Resources

router = APIRouter()

SAVED = {
    "password": "Your password is changed. Every other device is signed out.",
    "pin": "Your PIN is changed.",
}
"""What the profile page says after `/profile?saved=`."""


class PasswordForm(Body):
    """A new password, confirmed by the current one."""

    current_password: GivenPassword
    new_password: Password


class PinForm(Body):
    """A new PIN, confirmed by the password."""

    current_password: GivenPassword
    new_pin: Pin


@router.get("/profile/password")
async def show_password(request: Request, caller: Caller, kept: CurrentKept) -> Response:
    """The form for a new password."""
    return _show(request, kept, "password")


@router.post("/profile/password")
async def change_password(
    form: SubmittedForm, caller: Caller, address: ClientAddress, resources: CurrentResources
) -> Response:
    """Change the password, which ends every other session."""
    typed = form.read(PasswordForm)
    secrets = SecretsChange(
        address=address,
        current_password=typed.current_password.get_secret_value(),
        new_password=typed.new_password.get_secret_value(),
    )
    await _change(resources, caller, secrets)
    return forget(see_other("/profile?saved=password"), Reminder.PASSWORD)


@router.get("/profile/pin")
async def show_pin(request: Request, caller: Caller, kept: CurrentKept) -> Response:
    """The form for a new PIN."""
    return _show(request, kept, "pin")


@router.post("/profile/pin")
async def change_pin(
    form: SubmittedForm, caller: Caller, address: ClientAddress, resources: CurrentResources
) -> Response:
    """Change the PIN."""
    typed = form.read(PinForm)
    secrets = SecretsChange(
        address=address,
        current_password=typed.current_password.get_secret_value(),
        new_pin=typed.new_pin.get_secret_value(),
    )
    await _change(resources, caller, secrets)
    return forget(see_other("/profile?saved=pin"), Reminder.PIN)


def _show(request: Request, kept: KeptForms, changing: str) -> Response:
    form = kept.form()
    return render(request, "secret.html", status=form.status, changing=changing, form=form)


async def _change(resources: Resources, caller: Identity, secrets: SecretsChange) -> None:
    await commands.change_secrets(
        identity=caller,
        secrets=secrets,
        sessionmaker=resources.sessionmaker,
        hasher=resources.hasher,
        throttle=resources.throttle,
    )
