"""Pages of a person's own profile: names, password, PIN."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from markupsafe import Markup

from shared.auth import commands
from shared.auth.commands import PersonChanges
from shared.auth.queries import get_person_profile
from shared.http.dependencies import Caller, CurrentResources
from shared.http.fields import Body, Name
from shared.pages import change_secrets
from shared.pages.forms import Form, SubmittedForm
from shared.pages.kept_forms import CurrentKept
from shared.pages.rendering import render, see_other
from shared.payment_codes import draw_inline, payment_uri

router = APIRouter()

SAVED = {"name": "Your name is changed.", **change_secrets.SAVED}


class NamesForm(Body):
    """The fields of the form that changes the names; both are always sent."""

    first_name: Name
    last_name: Name


@router.get("/profile")
async def show_profile(
    request: Request,
    caller: Caller,
    resources: CurrentResources,
    kept: CurrentKept,
    saved: Annotated[str, Query(max_length=16)] = "",
) -> Response:
    """The profile, and the form that changes the names."""
    user = await resources.read(lambda session: get_person_profile(session, caller.owner_id))
    form = kept.form(Form({"first_name": user.first_name, "last_name": user.last_name}))
    return render(
        request,
        "profile.html",
        status=form.status,
        profile=user,
        name=user.name,
        form=form,
        saved=SAVED.get(saved),
        code=Markup(draw_inline(payment_uri(wallet_id=user.wallet_id))),  # noqa: S704 - a drawing
    )


@router.post("/profile")
async def change_names(form: SubmittedForm, caller: Caller, resources: CurrentResources) -> Response:
    """Change the names that others see."""
    typed = form.read(NamesForm)
    await commands.change_person(
        identity=caller,
        changes=PersonChanges(first_name=typed.first_name, last_name=typed.last_name),
        sessionmaker=resources.sessionmaker,
        hasher=resources.hasher,
        throttle=resources.throttle,
    )
    return see_other("/profile?saved=name")
