"""The page that signs a shop up."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from services.merchant_app.pages.shop_fields import category_options, timezone_options
from shared.http.dependencies import CurrentResources, CurrentVisitor
from shared.http.sign_up import DEFAULT_TIMEZONE, ShopIn, sign_up_shop
from shared.pages.forms import Form, SubmittedForm
from shared.pages.kept_forms import CurrentKept
from shared.pages.paths import own_path
from shared.pages.rendering import render, see_other
from shared.pages.sign_in import is_signed_in, welcome

router = APIRouter()


@router.get("/sign-up")
async def show_sign_up(
    request: Request,
    resources: CurrentResources,
    kept: CurrentKept,
    next: str | None = None,  # noqa: A002 - what the address says
) -> Response:
    """The form; with a session, the page after it."""
    form = kept.form(Form({"next": own_path(next), "timezone": DEFAULT_TIMEZONE}))
    if await is_signed_in(request, resources):
        return see_other(own_path(form.value("next")))
    return render(request, "sign-up.html", form=form, categories=category_options(), timezones=timezone_options())


@router.post("/sign-up")
async def sign_up(form: SubmittedForm, visitor: CurrentVisitor, resources: CurrentResources) -> Response:
    """Sign up and start a session."""
    shop = await sign_up_shop(resources, form.read(ShopIn), address=visitor.address)
    return welcome(resources, shop.id, visitor, form.value("next"))
