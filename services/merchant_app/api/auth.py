"""Signing up and signing in as a shop."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncSession

from shared.api import sessions
from shared.api.sessions import SessionAnswer
from shared.auth import registration
from shared.auth.errors import EmailTaken, HashingBusy, TooManySignUps
from shared.auth.queries import get_shop_profile
from shared.auth.registration import Credentials
from shared.calendar import INDIA
from shared.http.dependencies import ClientAddress, CurrentResources, ReadSession, WriteSession
from shared.http.fields import Body, Email, Name, Password, Pin, Timezone
from shared.http.problems import problem_responses
from shared.http.sessions import LoginBody, authenticate, start_session
from shared.runtime.resources import Resources

DEFAULT_TIMEZONE = INDIA.key

router = APIRouter(tags=["sessions"])


class RegisterBody(Body):
    """A new shop."""

    email: Email
    password: Password
    pin: Pin
    business_name: Name
    category: Name | None = None
    timezone: Timezone = DEFAULT_TIMEZONE

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "email": "shop@example.com",
                    "password": "correct horse",
                    "pin": "1234",
                    "business_name": "Chai Point",
                    "category": "tea",
                    "timezone": "Asia/Kolkata",
                }
            ]
        }
    )


class MerchantAnswer(BaseModel):
    """A shop as it sees itself."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    email: str
    business_name: str
    category: str | None
    wallet_id: str
    timezone: str


class MerchantSessionAnswer(SessionAnswer):
    """A session and whose it is."""

    merchant: MerchantAnswer


@router.post("/auth/register", status_code=201, responses=problem_responses(EmailTaken, TooManySignUps, HashingBusy))
async def register(
    body: RegisterBody,
    address: ClientAddress,
    response: Response,
    resources: CurrentResources,
    session: WriteSession,
) -> MerchantSessionAnswer:
    """Sign up: a shop and its account with a balance of zero, or neither."""
    merchant = await sign_up(session, resources, body, address)
    issued = start_session(response, resources, merchant.id)
    return MerchantSessionAnswer(merchant=merchant, token=issued.token, expires_at=issued.expires_at)


async def sign_up(session: AsyncSession, resources: Resources, body: RegisterBody, address: str) -> MerchantAnswer:
    """Count, hash, then register. Raises TooManySignUps, HashingBusy, EmailTaken."""
    await resources.throttle.count_sign_up(address)
    credentials = Credentials(
        email=body.email,
        password_hash=await resources.hasher.hash_password(body.password.get_secret_value()),
        pin_hash=await resources.hasher.hash_pin(body.pin.get_secret_value()),
    )
    merchant, account = await registration.register_merchant(
        session,
        credentials=credentials,
        business_name=body.business_name,
        category=body.category,
        timezone=body.timezone,
    )
    assert account.handle is not None
    return MerchantAnswer(
        id=merchant.id,
        email=credentials.email,
        business_name=merchant.business_name,
        category=merchant.category,
        wallet_id=account.handle,
        timezone=merchant.timezone,
    )


@router.post("/auth/login", responses=sessions.LOGIN_RESPONSES)
async def login(
    body: LoginBody, address: ClientAddress, response: Response, resources: CurrentResources, session: ReadSession
) -> MerchantSessionAnswer:
    """Sign in. An unknown email and a wrong password are answered alike."""
    owner_id = await authenticate(resources, body, address)
    merchant = MerchantAnswer.model_validate(await get_shop_profile(session, owner_id))
    issued = start_session(response, resources, owner_id)
    return MerchantSessionAnswer(merchant=merchant, token=issued.token, expires_at=issued.expires_at)


router.include_router(sessions.router)
