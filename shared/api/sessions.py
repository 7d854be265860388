"""JSON routes of sessions that both apps share: sign out, exchange the PIN for a token."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, Response
from pydantic import BaseModel

from shared.auth import commands
from shared.auth.errors import BadCredentials, HashingBusy, PinIncorrect, PinLocked, TooManyAttempts
from shared.http.cookies import clear_session_cookie
from shared.http.dependencies import Caller, ClientAddress, CurrentResources
from shared.http.fields import Body, Pin
from shared.http.problems import problem_responses

LOGIN_ERRORS = (BadCredentials, TooManyAttempts, HashingBusy)


class PinIn(Body):
    """The caller's PIN."""

    pin: Pin


class PinTokenOut(BaseModel):
    """Stands for the PIN for a few minutes, in this session only: send it as `X-Pin-Token`."""

    pin_token: str
    expires_at: datetime


class SessionOut(BaseModel):
    """A new session: the token to send as bearer, and when it ends (UTC). Browsers also get it as a cookie."""

    token: str
    expires_at: datetime


router = APIRouter(tags=["sessions"])


@router.post("/auth/logout", status_code=204)
async def logout(caller: Caller, resources: CurrentResources, address: ClientAddress, response: Response) -> None:
    """Sign out: this token is refused everywhere from now on."""
    await commands.sign_out(resources.sessionmaker, identity=caller, address=address)
    clear_session_cookie(response, settings=resources.settings)


@router.post("/auth/pin", responses=problem_responses(PinIncorrect, PinLocked, HashingBusy))
async def exchange_pin(body: PinIn, caller: Caller, address: ClientAddress, resources: CurrentResources) -> PinTokenOut:
    """Enter the PIN once and get a token that stands for it for five minutes."""
    issued = await commands.exchange_pin(
        identity=caller,
        pin=body.pin.get_secret_value(),
        address=address,
        sessionmaker=resources.sessionmaker,
        reads=resources.reads,
        hasher=resources.hasher,
        settings=resources.settings,
        tokens=resources.tokens,
    )
    return PinTokenOut(pin_token=issued.token, expires_at=issued.expires_at)
