"""JSON routes that both apps share: confirm an email address, send the link again, correct the address."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from shared.auth import email_confirmation
from shared.auth.errors import (
    ConfirmationLinkInvalid,
    CurrentPasswordIncorrect,
    EmailConfirmed,
    HashingBusy,
    TooManyAttempts,
    TooManyConfirmationMails,
)
from shared.auth.rules import MAX_TOKEN_LENGTH
from shared.auth.secrets_change import SecretsChange
from shared.http.dependencies import Caller, ClientAddress, CurrentResources
from shared.http.fields import Body, Email, GivenPassword
from shared.http.problems import problem_responses

router = APIRouter(prefix="/auth/email", tags=["sessions"])

SEND_ERRORS = (EmailConfirmed, TooManyConfirmationMails)


class LinkIn(Body):
    """The token of the link in the mail."""

    token: Annotated[str, Field(min_length=1, max_length=MAX_TOKEN_LENGTH)]


class CorrectionIn(Body):
    """The right address, and the password."""

    email: Email
    current_password: GivenPassword


@router.post("/confirm", status_code=204, responses=problem_responses(ConfirmationLinkInvalid))
async def confirm_email(body: LinkIn, resources: CurrentResources) -> None:
    """Confirm the address to which the link was sent; no session is needed. A link works once."""
    await email_confirmation.confirm(resources.sessionmaker, body.token)


@router.post("/resend", status_code=204, responses=problem_responses(*SEND_ERRORS))
async def send_link_again(caller: Caller, resources: CurrentResources) -> None:
    """Send a new link. The ones before it work no more."""
    await email_confirmation.send_again(
        resources.sessionmaker, owner_id=caller.owner_id, app_url=resources.settings.public_url
    )


@router.post(
    "/correct",
    status_code=204,
    responses=problem_responses(*SEND_ERRORS, CurrentPasswordIncorrect, TooManyAttempts, HashingBusy),
)
async def correct_email(
    body: CorrectionIn, caller: Caller, address: ClientAddress, resources: CurrentResources
) -> None:
    """Send a link to another address. It becomes the caller's when it is confirmed; until then the old one signs in."""
    await email_confirmation.correct(
        resources.sessionmaker,
        identity=caller,
        proof=SecretsChange(address=address, current_password=body.current_password.get_secret_value()),
        address=body.email,
        app_url=resources.settings.public_url,
        hasher=resources.hasher,
        throttle=resources.throttle,
    )
