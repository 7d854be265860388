"""A shop's own profile: its details and time zone, password, PIN."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from services.merchant_app.pages.shop_fields import category_options, timezone_options
from services.merchant_app.routes.profile import ProfileBody
from shared.auth import profiles
from shared.auth.tokens import Identity
from shared.web.dependencies import Caller, CurrentResources, ReadSession
from shared.web.fields import Body, GivenPassword, Name, Password, Pin, Timezone
from shared.web.pages.forms import Form, SubmittedForm
from shared.web.pages.rendering import render, see_other
from shared.web.resources import Resources
from shared.web.secrets_change import CurrentSecretsChange, SecretsChange

router = APIRouter()

SAVED = {
    "shop": "Your shop is saved.",
    "password": "Your password is changed. Every other device is signed out.",
    "pin": "Your PIN is changed.",
}
_PLACES = dict.fromkeys(("current_password_incorrect", "too_many_attempts"), "current_password")


class ShopForm(Body):
    """All of it is always sent; no category takes the present one away."""

    business_name: Name
    category: Name | None = None
    timezone: Timezone


class PasswordForm(Body):
    """A new password, allowed by the present one."""

    current_password: GivenPassword
    new_password: Password


class PinForm(Body):
    """A new PIN, allowed by the password."""

    current_password: GivenPassword
    new_pin: Pin


@router.get("/profile")
async def show_profile(
    request: Request, caller: Caller, session: ReadSession, saved: Annotated[str, Query(max_length=16)] = ""
) -> Response:
    """What the shop is here, and what may be changed about it."""
    return await _show(request, caller, session, saved=SAVED.get(saved))


@router.post("/profile")
async def change_shop(request: Request, form: SubmittedForm, caller: Caller, resources: CurrentResources) -> Response:
    """What people see when they pay, and where the shop's days begin."""
    with form.catching():
        typed = form.read(ShopForm)
        async with resources.sessionmaker.begin() as session:
            await profiles.update_merchant(session, caller.owner_id, typed.model_dump())
        return see_other("/profile?saved=shop")
    async with resources.read_sessionmaker() as session:
        return await _show(request, caller, session, form=form)


@router.get("/profile/password")
async def show_password(request: Request, caller: Caller) -> Response:
    """The form for a new password."""
    return render(request, "secret.html", changing="password", form=Form())


@router.post("/profile/password")
async def change_password(
    request: Request, form: SubmittedForm, secrets: CurrentSecretsChange, resources: CurrentResources
) -> Response:
    """Signs out every other session."""
    with form.catching(**_PLACES):
        typed = form.read(PasswordForm)
        body = ProfileBody(current_password=typed.current_password, new_password=typed.new_password)
        await _change(secrets, resources, body)
        return see_other("/profile?saved=password")
    return render(request, "secret.html", status=form.status, changing="password", form=form)


@router.get("/profile/pin")
async def show_pin(request: Request, caller: Caller) -> Response:
    """The form for a new PIN."""
    return render(request, "secret.html", changing="pin", form=Form())


@router.post("/profile/pin")
async def change_pin(
    request: Request, form: SubmittedForm, secrets: CurrentSecretsChange, resources: CurrentResources
) -> Response:
    """The PIN that guards every withdrawal and refund."""
    with form.catching(**_PLACES):
        typed = form.read(PinForm)
        body = ProfileBody(current_password=typed.current_password, new_pin=typed.new_pin)
        await _change(secrets, resources, body)
        return see_other("/profile?saved=pin")
    return render(request, "secret.html", status=form.status, changing="pin", form=form)


async def _change(secrets: SecretsChange, resources: Resources, body: ProfileBody) -> None:
    prepared = await secrets.prepare(body)
    async with resources.sessionmaker.begin() as session:
        await secrets.store(session, prepared)


async def _show(
    request: Request, caller: Identity, session: AsyncSession, *, form: Form | None = None, saved: str | None = None
) -> Response:
    shop = await profiles.merchant_profile(session, caller.owner_id)
    details = {"business_name": shop.business_name, "category": shop.category or "", "timezone": shop.timezone}
    return render(
        request,
        "profile.html",
        status=200 if form is None else form.status,
        shop=shop,
        form=form or Form(details),
        categories=category_options(shop.category or ""),
        timezones=timezone_options(shop.timezone),
        saved=saved,
    )
