"""JSON routes that sign a shop up and in."""

from __future__ import annotations

from fastapi import APIRouter, Response

from services.merchant_app.api.profile import ShopProfileOut
from shared.api import sessions
from shared.api.sessions import SessionOut
from shared.auth.errors import EmailTaken, HashingBusy, NameNotAllowed, TooManySignUps, WeakSecret
from shared.auth.queries import get_shop_profile
from shared.http.dependencies import CurrentResources, CurrentVisitor
from shared.http.problems import problem_responses
from shared.http.sessions import LoginIn, authenticate, start_session
from shared.http.sign_up import ShopIn, sign_up_shop

router = APIRouter(tags=["sessions"])


class ShopSessionOut(SessionOut):
    """A session and whose it is."""

    merchant: ShopProfileOut


@router.post(
    "/auth/register",
    status_code=201,
    responses=problem_responses(EmailTaken, NameNotAllowed, WeakSecret, TooManySignUps, HashingBusy),
)
async def register(
    body: ShopIn, visitor: CurrentVisitor, response: Response, resources: CurrentResources
) -> ShopSessionOut:
    """Sign up: a shop and its account with a balance of zero, or neither."""
    profile = await sign_up_shop(resources, body, address=visitor.address)
    issued = start_session(response, resources, profile.id, visitor)
    merchant = ShopProfileOut.model_validate(profile)
    return ShopSessionOut(merchant=merchant, token=issued.token, expires_at=issued.expires_at)


@router.post("/auth/login", responses=problem_responses(*sessions.LOGIN_ERRORS))
async def login(
    body: LoginIn, visitor: CurrentVisitor, response: Response, resources: CurrentResources
) -> ShopSessionOut:
    """Sign in. An unknown email and a wrong password are answered alike."""
    owner_id = await authenticate(resources, body, visitor)
    merchant = ShopProfileOut.model_validate(await get_shop_profile(resources.reads, owner_id))
    issued = start_session(response, resources, owner_id, visitor)
    return ShopSessionOut(merchant=merchant, token=issued.token, expires_at=issued.expires_at)


router.include_router(sessions.router)
