"""The page that signs a person up."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from shared.http.dependencies import ClientAddress, CurrentResources
from shared.http.sign_up import PersonIn, sign_up_person
from shared.pages.forms import Form, SubmittedForm
from shared.pages.paths import own_path
from shared.pages.rendering import render, see_other
from shared.pages.sign_in import is_signed_in, welcome

router = APIRouter()


@router.get("/sign-up")
async def show_sign_up(request: Request, resources: CurrentResources, next: str | None = None) -> Response:  # noqa: A002 - what the address says
    """The form; with a session, the page after it."""
    if await is_signed_in(request, resources):
        return see_other(own_path(next))
    return render(request, "sign-up.html", form=Form(), next=own_path(next))


@router.post("/sign-up")
async def sign_up(
    request: Request, form: SubmittedForm, address: ClientAddress, resources: CurrentResources
) -> Response:
    """Sign up and start a session, or show the form again."""
    wanted = own_path(form.values.get("next"))
    with form.catching():
        person = await sign_up_person(
            resources,
            form.read(PersonIn),
            address=address,
            welcome_balance_paise=request.app.state.settings.welcome_balance_paise,
        )
        return welcome(resources, person.id, wanted)
    return render(request, "sign-up.html", status=form.status, form=form, next=wanted)
