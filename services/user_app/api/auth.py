"""JSON routes that sign a person up and in."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from services.user_app.api.profile import PersonProfileOut
from shared.api import sessions
from shared.api.sessions import SessionOut
from shared.auth.errors import (
    EmailTaken,
    HashingBusy,
    NameNotAllowed,
    SecondFactorNotEnrolled,
    SecondFactorRequired,
    TooManySignUps,
    WeakSecret,
    WrongSecondFactor,
)
from shared.auth.queries import get_person_profile
from shared.http.dependencies import CurrentResources, CurrentVisitor
from shared.http.problems import problem_responses
from shared.http.sessions import LoginWithCodeIn, authenticate, start_session
from shared.http.sign_up import PersonIn, sign_up_person

router = APIRouter(tags=["sessions"])


SECOND_FACTOR_ERRORS = (SecondFactorRequired, WrongSecondFactor, SecondFactorNotEnrolled)


class PersonSessionOut(SessionOut):
    """A session and whose it is."""

    user: PersonProfileOut


@router.post(
    "/auth/register",
    status_code=201,
    responses=problem_responses(EmailTaken, NameNotAllowed, WeakSecret, TooManySignUps, HashingBusy),
)
async def register(
    body: PersonIn, visitor: CurrentVisitor, request: Request, response: Response, resources: CurrentResources
) -> PersonSessionOut:
    """Sign up: a person and a wallet with a balance of zero, or neither."""
    welcome_balance = request.app.state.settings.welcome_balance_paise
    profile = await sign_up_person(resources, body, address=visitor.address, welcome_balance_paise=welcome_balance)
    issued = start_session(response, resources, profile.id, visitor)
    user = PersonProfileOut.model_validate(profile)
    return PersonSessionOut(user=user, token=issued.token, expires_at=issued.expires_at)


@router.post("/auth/login", responses=problem_responses(*sessions.LOGIN_ERRORS, *SECOND_FACTOR_ERRORS))
async def login(
    body: LoginWithCodeIn,
    visitor: CurrentVisitor,
    response: Response,
    resources: CurrentResources,
) -> PersonSessionOut:
    """Sign in. An unknown email and a wrong password are answered alike.

    The platform's own user sends `totp` too.
    """
    owner_id = await authenticate(resources, body, visitor, body.totp)
    profile = await resources.read(lambda session: get_person_profile(session, owner_id))
    user = PersonProfileOut.model_validate(profile)
    issued = start_session(response, resources, owner_id, visitor)
    return PersonSessionOut(user=user, token=issued.token, expires_at=issued.expires_at)


router.include_router(sessions.router)
