"""Pages of a shop's own profile: details and time zone, password, PIN."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from services.merchant_app.pages.shop_fields import category_options, timezone_options
from shared.auth import commands
from shared.auth.commands import ShopChanges
from shared.auth.queries import get_shop_profile
from shared.http.dependencies import Caller, CurrentResources
from shared.http.fields import Body, Name, Timezone
from shared.pages import change_secrets
from shared.pages.forms import Form, SubmittedForm
from shared.pages.kept_forms import CurrentKept
from shared.pages.rendering import render, see_other

router = APIRouter()

SAVED = {"shop": "Your shop is saved.", **change_secrets.SAVED}


class ShopForm(Body):
    """The fields of the form that changes the details; all are always sent. No category removes the present one."""

    business_name: Name
    category: Name | None = None
    timezone: Timezone


@router.get("/profile")
async def show_profile(
    request: Request,
    caller: Caller,
    resources: CurrentResources,
    kept: CurrentKept,
    saved: Annotated[str, Query(max_length=16)] = "",
) -> Response:
    """The profile, and the form that changes the details."""
    shop = await get_shop_profile(resources.reads, caller.owner_id)
    details = {"business_name": shop.business_name, "category": shop.category or "", "timezone": shop.timezone}
    form = kept.form(Form(details))
    return render(
        request,
        "profile.html",
        status=form.status,
        profile=shop,
        name=shop.business_name,
        form=form,
        categories=category_options(shop.category or ""),
        timezones=timezone_options(shop.timezone),
        saved=SAVED.get(saved),
    )


@router.post("/profile")
async def change_shop(form: SubmittedForm, caller: Caller, resources: CurrentResources) -> Response:
    """Change the details that payers see, and the time zone of the shop's days."""
    typed = form.read(ShopForm)
    await commands.change_shop(
        identity=caller,
        changes=ShopChanges(business_name=typed.business_name, category=typed.category, timezone=typed.timezone),
        sessionmaker=resources.sessionmaker,
        hasher=resources.hasher,
        throttle=resources.throttle,
    )
    return see_other("/profile?saved=shop")
