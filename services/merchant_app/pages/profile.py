"""Pages of a shop's own profile: details and time zone, password, PIN."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from services.merchant_app.pages.shop_fields import category_options, timezone_options
from shared.auth import commands
from shared.auth.commands import ShopChanges
from shared.auth.queries import get_shop_profile
from shared.auth.tokens import Identity
from shared.http.dependencies import Caller, CurrentResources, ReadSession
from shared.http.fields import Body, Name, Timezone
from shared.pages import change_secrets
from shared.pages.forms import Form, SubmittedForm
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
    request: Request, caller: Caller, session: ReadSession, saved: Annotated[str, Query(max_length=16)] = ""
) -> Response:
    """The profile, and the form that changes the details."""
    return await _show(request, caller, session, saved=SAVED.get(saved))


@router.post("/profile")
async def change_shop(request: Request, form: SubmittedForm, caller: Caller, resources: CurrentResources) -> Response:
    """Change the details that payers see, and the time zone of the shop's days."""
    with form.catching():
        typed = form.read(ShopForm)
        await commands.change_shop(
            identity=caller,
            changes=ShopChanges(business_name=typed.business_name, category=typed.category, timezone=typed.timezone),
            sessionmaker=resources.sessionmaker,
            hasher=resources.hasher,
            throttle=resources.throttle,
        )
        return see_other("/profile?saved=shop")
    async with resources.read_sessionmaker() as session:
        return await _show(request, caller, session, form=form)


async def _show(
    request: Request, caller: Identity, session: AsyncSession, *, form: Form | None = None, saved: str | None = None
) -> Response:
    shop = await get_shop_profile(session, caller.owner_id)
    details = {"business_name": shop.business_name, "category": shop.category or "", "timezone": shop.timezone}
    return render(
        request,
        "profile.html",
        status=200 if form is None else form.status,
        profile=shop,
        name=shop.business_name,
        form=form or Form(details),
        categories=category_options(shop.category or ""),
        timezones=timezone_options(shop.timezone),
        saved=saved,
    )
