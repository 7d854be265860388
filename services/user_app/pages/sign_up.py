"""Signing up as a person."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from services.user_app.api.auth import RegisterBody
from services.user_app.api.auth import sign_up as register_person
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
    return render(request, "sign-up.html", form=Form(), next=own_path(next))


@router.post("/sign-up")
async def sign_up(
    request: Request, form: SubmittedForm, address: ClientAddress, resources: CurrentResources
) -> Response:
    """A person, a wallet and a session, or the form again."""
    wanted = own_path(form.values.get("next"))
    with form.catching():
        body = form.read(RegisterBody)
        async with resources.sessionmaker.begin() as session:
            user = await register_person(session, resources, request.app.state.settings, body, address)
        return welcome(resources, user.id, wanted)
    return render(request, "sign-up.html", status=form.status, form=form, next=wanted)
