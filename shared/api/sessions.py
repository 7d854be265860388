"""Signing in and out over HTTP: what both apps do alike."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel

from shared.auth import login, pins, tokens
from shared.auth.errors import BadCredentials, HashingBusy, PinIncorrect, PinLocked, TooManyAttempts
from shared.auth.tokens import IssuedToken
from shared.http.client_address import client_address
from shared.http.cookies import clear_session_cookie, set_session_cookie
from shared.http.dependencies import Caller, CurrentResources, WriteSession
from shared.http.fields import Body, Email, GivenPassword, Pin
from shared.http.problems import problem_responses
from shared.runtime.resources import Resources

LOGIN_RESPONSES = problem_responses(BadCredentials, TooManyAttempts, HashingBusy)


class LoginBody(Body):
    """Who claims to be whom."""

    email: Email
    password: GivenPassword


class PinBody(Body):
    """The caller's PIN."""

    pin: Pin


class PinTokenAnswer(BaseModel):
    """Stands for the PIN for a few minutes, in this session only: send it as `X-Pin-Token`."""

    pin_token: str
    expires_at: datetime


class SessionAnswer(BaseModel):
    """A new session: the token to send as bearer, and when it ends (UTC). Browsers also get it as a cookie."""

    token: str
    expires_at: datetime


def address_asking(request: Request, resources: CurrentResources) -> str:
    """The address that asked: behind the proxies that are trusted, and nothing a caller can write himself."""
    peer = request.client.host if request.client is not None else None
    forwarded_for = request.headers.getlist("x-forwarded-for")
    return str(client_address(peer, forwarded_for, resources.settings.trusted_proxies) or peer or "unknown")


ClientAddress = Annotated[str, Depends(address_asking)]


def start_session(response: Response, resources: Resources, owner_id: UUID) -> IssuedToken:
    """Issue a session token and set it as the cookie."""
    issued = resources.tokens.issue(owner_id)
    set_session_cookie(response, settings=resources.settings, token=issued.token, expires_at=issued.expires_at)
    return issued


async def sign_in(resources: Resources, body: LoginBody, address: str) -> UUID:
    """The owner's id, or BadCredentials, TooManyAttempts, HashingBusy."""
    return await login.sign_in(
        resources.sessionmaker,
        hasher=resources.hasher,
        throttle=resources.throttle,
        kind=resources.tokens.kind,
        email=body.email,
        password=body.password.get_secret_value(),
        address=address,
    )


router = APIRouter(tags=["sessions"])


@router.post("/auth/logout", status_code=204)
async def logout(caller: Caller, session: WriteSession, resources: CurrentResources, response: Response) -> None:
    """Sign out: this token is refused everywhere from now on."""
    await tokens.revoke(session, caller)
    clear_session_cookie(response, settings=resources.settings)


@router.post("/auth/pin", responses=problem_responses(PinIncorrect, PinLocked, HashingBusy))
async def exchange_pin(body: PinBody, caller: Caller, resources: CurrentResources) -> PinTokenAnswer:
    """Enter the PIN once and get a token that stands for it for five minutes."""
    pin_hash = await pins.check(
        resources.sessionmaker,
        hasher=resources.hasher,
        settings=resources.settings,
        owner_id=caller.owner_id,
        pin=body.pin.get_secret_value(),
    )
    issued = resources.tokens.issue_pin_token(caller, pin_hash)
    return PinTokenAnswer(pin_token=issued.token, expires_at=issued.expires_at)
