"""Signing in over HTTP, by the JSON route and by the page."""

from __future__ import annotations

from uuid import UUID

from starlette.responses import Response

from shared.auth import commands
from shared.auth.tokens import IssuedToken
from shared.http.cookies import set_session_cookie
from shared.http.fields import Body, Email, GivenPassword
from shared.runtime.resources import Resources


class LoginIn(Body):
    """Email and password of a person or a shop."""

    email: Email
    password: GivenPassword


async def authenticate(resources: Resources, body: LoginIn, address: str) -> UUID:
    """The id of the owner with this email and password. Raises BadCredentials, TooManyAttempts, HashingBusy."""
    return await commands.sign_in(
        kind=resources.tokens.kind,
        email=body.email,
        password=body.password.get_secret_value(),
        address=address,
        sessionmaker=resources.sessionmaker,
        hasher=resources.hasher,
        throttle=resources.throttle,
    )


def start_session(response: Response, resources: Resources, owner_id: UUID) -> IssuedToken:
    """Issue a session token and set it as the cookie."""
    issued = resources.tokens.issue(owner_id)
    set_session_cookie(response, settings=resources.settings, token=issued.token, expires_at=issued.expires_at)
    return issued
