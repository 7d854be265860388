"""Signing in over HTTP, by the JSON route and by the page."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import Field
from starlette.responses import Response

from shared.auth import commands, recovery_codes
from shared.auth.devices import KNOWN_SECONDS
from shared.auth.tokens import IssuedToken
from shared.http.cookies import DEVICE_COOKIE, set_cookie, set_session_cookie
from shared.http.dependencies import Visitor
from shared.http.fields import Body, Email, GivenPassword
from shared.runtime.resources import Resources


class LoginIn(Body):
    """Email and password of a person or a shop."""

    email: Email
    password: GivenPassword


class LoginWithCodeIn(LoginIn):
    """The same, and the code of the authenticator, or a recovery code, which the platform's own user needs."""

    totp: Annotated[str, Field(pattern=f"^([0-9]{{6}}|{recovery_codes.PATTERN})$", examples=["492039"])] | None = None


async def authenticate(resources: Resources, body: LoginIn, visitor: Visitor, code: str | None = None) -> UUID:
    """The id of the owner with this email and password. Raises what `sign_in` raises."""
    return await commands.sign_in(
        kind=resources.tokens.kind,
        email=body.email,
        password=body.password.get_secret_value(),
        code=code,
        address=visitor.address,
        device_cookie=visitor.device_cookie,
        reads=resources.reads,
        sessionmaker=resources.sessionmaker,
        hasher=resources.hasher,
        throttle=resources.throttle,
        devices=resources.devices,
        second_factor=resources.second_factor,
    )


def start_session(response: Response, resources: Resources, owner_id: UUID, visitor: Visitor) -> IssuedToken:
    """Issue a session token and set it as the cookie; the device is known from now on."""
    issued = resources.tokens.issue(owner_id)
    set_session_cookie(response, settings=resources.settings, token=issued.token, expires_at=issued.expires_at)
    devices = resources.devices.remembered(owner_id, visitor.device_cookie)
    set_cookie(response, DEVICE_COOKIE, devices, settings=resources.settings, max_age=KNOWN_SECONDS)
    return issued
