"""Signing in and out over HTTP: what both apps do alike."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, Response
from pydantic import BaseModel

from shared.auth import pins, tokens
from shared.auth.errors import BadCredentials, HashingBusy, PinIncorrect, PinLocked, TooManyAttempts
from shared.http.cookies import clear_session_cookie
from shared.http.dependencies import Caller, CurrentResources, WriteSession
from shared.http.fields import Body, Pin
from shared.http.problems import problem_responses

LOGIN_RESPONSES = problem_responses(BadCredentials, TooManyAttempts, HashingBusy)


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
