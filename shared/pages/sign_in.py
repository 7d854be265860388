"""Signing in and out on pages, the same in both apps. Each app has its own form for signing up."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response

from shared.auth import commands
from shared.errors import Unauthenticated
from shared.http.cookies import SESSION_COOKIE, clear_session_cookie, require_same_origin
from shared.http.dependencies import ClientAddress, CurrentResources, CurrentVisitor, Visitor
from shared.http.sessions import LoginWithCodeIn, authenticate, start_session
from shared.pages.forms import Form, SubmittedForm
from shared.pages.kept_forms import INTERRUPTED, CurrentKept
from shared.pages.paths import SIGN_IN, own_path
from shared.pages.reminders import forget, remind_of_password, reminders
from shared.pages.rendering import render, see_other
from shared.runtime.resources import Resources

router = APIRouter()


async def is_signed_in(request: Request, resources: Resources) -> bool:
    """Whether the browser sent the cookie of a valid session."""
    token = request.cookies.get(SESSION_COOKIE)
    if not token:
        return False
    try:
        await resources.sessions.check(token)
    except Unauthenticated:
        return False
    return True


def welcome(resources: Resources, owner_id: UUID, visitor: Visitor, next_path: str | None) -> Response:
    """Start a session and go on to `next_path`."""
    response = see_other(own_path(next_path))
    start_session(response, resources, owner_id, visitor)
    return response


@router.get("/sign-in")
async def show_sign_in(
    request: Request,
    resources: CurrentResources,
    kept: CurrentKept,
    next: str | None = None,  # noqa: A002 - what the address says
) -> Response:
    """The form; with a session, the page after it."""
    form = kept.form(Form({"next": own_path(next)}))
    if await is_signed_in(request, resources):
        return see_other(own_path(form.value("next")))
    return render(
        request,
        "sign-in.html",
        form=form,
        signed_out="signed-out" in request.query_params,
        is_interrupted=form.value("next").endswith(f"form={INTERRUPTED}"),
    )


@router.post("/sign-in")
async def sign_in(form: SubmittedForm, visitor: CurrentVisitor, resources: CurrentResources) -> Response:
    """Start a session."""
    typed = form.read(LoginWithCodeIn)
    owner_id = await authenticate(resources, typed, visitor, typed.totp)
    return remind_of_password(welcome(resources, owner_id, visitor, form.value("next")), resources.settings, typed)


@router.post("/sign-out")
async def sign_out(request: Request, resources: CurrentResources, address: ClientAddress) -> Response:
    """Revoke the session, if it is still valid, and forget its cookie."""
    require_same_origin(request)
    try:
        identity = (await resources.sessions.check(request.cookies.get(SESSION_COOKIE, ""))).identity
        await commands.sign_out(resources.sessionmaker, identity=identity, address=address)
    except Unauthenticated:
        pass
    response = see_other(f"{SIGN_IN}?signed-out=1")
    clear_session_cookie(response, settings=resources.settings)
    return forget(response, *reminders(request))
