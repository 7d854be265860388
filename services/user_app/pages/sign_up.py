"""The page that signs a person up."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from shared.http.dependencies import CurrentResources, CurrentVisitor
from shared.http.sign_up import PersonIn, sign_up_person
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
    form = kept.form(Form({"next": own_path(next)}))
    if await is_signed_in(request, resources):
        return see_other(own_path(form.value("next")))
    return render(request, "sign-up.html", form=form)


@router.post("/sign-up")
async def sign_up(
    request: Request, form: SubmittedForm, visitor: CurrentVisitor, resources: CurrentResources
) -> Response:
    """Sign up and start a session."""
    person = await sign_up_person(
        resources,
        form.read(PersonIn),
        address=visitor.address,
        welcome_balance_paise=request.app.state.settings.welcome_balance_paise,
    )
    return welcome(resources, person.id, visitor, form.value("next"))
