"""Signing up as a shop."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from services.merchant_app.api.auth import DEFAULT_TIMEZONE, RegisterBody
from services.merchant_app.api.auth import sign_up as register_shop
from services.merchant_app.pages.shop_fields import category_options, timezone_options
from shared.http.dependencies import ClientAddress, CurrentResources
from shared.pages.forms import Form, SubmittedForm
from shared.pages.paths import own_path
from shared.pages.rendering import render, see_other
from shared.pages.sign_in import is_signed_in, welcome

router = APIRouter()


@router.get("/sign-up")
async def show_sign_up(request: Request, resources: CurrentResources, next: str | None = None) -> Response:  # noqa: A002 - what the address says
    """The form; somebody signed in already goes on at once."""
    if await is_signed_in(request, resources):
        return see_other(own_path(next))
    return _form(request, Form(values={"timezone": DEFAULT_TIMEZONE}), own_path(next))


@router.post("/sign-up")
async def sign_up(
    request: Request, form: SubmittedForm, address: ClientAddress, resources: CurrentResources
) -> Response:
    """A shop, its account and a session, or the form again."""
    wanted = own_path(form.values.get("next"))
    with form.catching():
        body = form.read(RegisterBody)
        async with resources.sessionmaker.begin() as session:
            shop = await register_shop(session, resources, body, address)
        return welcome(resources, shop.id, wanted)
    return _form(request, form, wanted)


def _form(request: Request, form: Form, wanted: str) -> Response:
    return render(
        request,
        "sign-up.html",
        status=form.status,
        form=form,
        next=wanted,
        categories=category_options(),
        timezones=timezone_options(),
    )
