"""Signing in and out on pages: the same in both apps. Signing up differs, so each app has its own form for that."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from shared.api import sessions
from shared.api.sessions import ClientAddress, LoginBody
from shared.auth import tokens
from shared.errors import Unauthenticated
from shared.http.cookies import SESSION_COOKIE, clear_session_cookie, require_same_origin
from shared.http.dependencies import CurrentResources
from shared.pages.forms import Form, SubmittedForm
from shared.pages.paths import SIGN_IN, own_path
from shared.pages.rendering import render, see_other
from shared.runtime.resources import Resources

router = APIRouter()


async def is_signed_in(request: Request, resources: Resources) -> bool:
    """Whether the browser shows a session that still counts."""
    token = request.cookies.get(SESSION_COOKIE)
    if not token:
        return False
    try:
        async with resources.lookup_sessionmaker() as session:
            await resources.tokens.verify(session, token)
    except Unauthenticated:
        return False
    return True


def welcome(resources: Resources, owner_id: UUID, next_path: str | None) -> Response:
    """On to where somebody wanted to go, with a new session."""
    response = see_other(own_path(next_path))
    sessions.start_session(response, resources, owner_id)
    return response


@router.get("/sign-in")
async def show_sign_in(request: Request, resources: CurrentResources, next: str | None = None) -> Response:  # noqa: A002 - what the address says
    """The form; somebody signed in already goes on at once."""
    if await is_signed_in(request, resources):
        return see_other(own_path(next))
    return render(
        request, "sign-in.html", form=Form(), next=own_path(next), signed_out="signed-out" in request.query_params
    )


@router.post("/sign-in")
async def sign_in(
    request: Request, form: SubmittedForm, address: ClientAddress, resources: CurrentResources
) -> Response:
    """Email and password to a session."""
    wanted = own_path(form.values.get("next"))
    with form.catching():
        owner_id = await sessions.sign_in(resources, form.read(LoginBody), address)
        return welcome(resources, owner_id, wanted)
    return render(request, "sign-in.html", status=form.status, form=form, next=wanted, signed_out=False)


@router.post("/sign-out", dependencies=[Depends(require_same_origin)])
async def sign_out(request: Request, resources: CurrentResources) -> Response:
    """This session ends everywhere; a session that counts no more ends quietly."""
    try:
        async with resources.sessionmaker.begin() as session:
            identity = await resources.tokens.verify(session, request.cookies.get(SESSION_COOKIE, ""))
            await tokens.revoke(session, identity)
    except Unauthenticated:
        pass
    response = see_other(f"{SIGN_IN}?signed-out=1")
    clear_session_cookie(response, settings=resources.settings)
    return response
