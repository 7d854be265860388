"""Signing up and signing in as a person."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncSession

from services.user_app.settings import UserAppSettings
from shared.api import sessions
from shared.api.sessions import SessionAnswer
from shared.auth import registration
from shared.auth.errors import EmailTaken, HashingBusy, TooManySignUps
from shared.auth.queries import get_person_profile
from shared.auth.registration import Credentials
from shared.http.dependencies import ClientAddress, CurrentResources, ReadSession, WriteSession
from shared.http.fields import Body, Email, Name, Password, Pin
from shared.http.problems import problem_responses
from shared.http.sessions import LoginBody, authenticate, start_session
from shared.runtime.resources import Resources

router = APIRouter(tags=["sessions"])


class RegisterBody(Body):
    """Somebody new."""

    email: Email
    password: Password
    pin: Pin
    first_name: Name
    last_name: Name

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "email": "alice@example.com",
                    "password": "correct horse",
                    "pin": "1234",
                    "first_name": "Alice",
                    "last_name": "Rao",
                }
            ]
        }
    )


class UserAnswer(BaseModel):
    """A person as they see themselves."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    email: str
    first_name: str
    last_name: str
    wallet_id: str


class UserSessionAnswer(SessionAnswer):
    """A session and whose it is."""

    user: UserAnswer


@router.post("/auth/register", status_code=201, responses=problem_responses(EmailTaken, TooManySignUps, HashingBusy))
async def register(
    *,
    body: RegisterBody,
    address: ClientAddress,
    request: Request,
    response: Response,
    resources: CurrentResources,
    session: WriteSession,
) -> UserSessionAnswer:
    """Sign up: a person and a wallet with a balance of zero, or neither."""
    user = await sign_up(session, resources, request.app.state.settings, body, address)
    issued = start_session(response, resources, user.id)
    return UserSessionAnswer(user=user, token=issued.token, expires_at=issued.expires_at)


async def sign_up(
    session: AsyncSession, resources: Resources, settings: UserAppSettings, body: RegisterBody, address: str
) -> UserAnswer:
    """Count, hash, then register. Raises TooManySignUps, HashingBusy, EmailTaken."""
    await resources.throttle.count_sign_up(address)
    credentials = Credentials(
        email=body.email,
        password_hash=await resources.hasher.hash_password(body.password.get_secret_value()),
        pin_hash=await resources.hasher.hash_pin(body.pin.get_secret_value()),
    )
    user, account = await registration.register_user(
        session,
        credentials=credentials,
        first_name=body.first_name,
        last_name=body.last_name,
        welcome_balance_paise=settings.welcome_balance_paise,
    )
    assert account.handle is not None
    return UserAnswer(
        id=user.id,
        email=credentials.email,
        first_name=user.first_name,
        last_name=user.last_name,
        wallet_id=account.handle,
    )


@router.post("/auth/login", responses=sessions.LOGIN_RESPONSES)
async def login(
    body: LoginBody, address: ClientAddress, response: Response, resources: CurrentResources, session: ReadSession
) -> UserSessionAnswer:
    """Sign in. An unknown email and a wrong password are answered alike."""
    owner_id = await authenticate(resources, body, address)
    user = UserAnswer.model_validate(await get_person_profile(session, owner_id))
    issued = start_session(response, resources, owner_id)
    return UserSessionAnswer(user=user, token=issued.token, expires_at=issued.expires_at)


router.include_router(sessions.router)
