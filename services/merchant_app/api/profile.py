"""JSON routes of a shop's own profile."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from shared.auth import commands
from shared.auth.commands import ShopChanges
from shared.auth.errors import NameNotAllowed
from shared.auth.queries import get_shop_profile
from shared.http.dependencies import Caller, ClientAddress, CurrentResources
from shared.http.fields import Name, Timezone
from shared.http.problems import problem_responses
from shared.http.secrets_change import SECRET_ERRORS, SecretsIn

router = APIRouter(tags=["profile"])


class ProfileIn(SecretsIn):
    """What changes; everything else stays. A `category` of null takes it away."""

    business_name: Name | None = None
    category: Name | None = None
    timezone: Timezone | None = None

    model_config = ConfigDict(json_schema_extra={"examples": [{"timezone": "Asia/Dubai"}]})

    def changes(self) -> ShopChanges:
        """The details that were sent."""
        changes = ShopChanges()
        if self.business_name is not None:
            changes["business_name"] = self.business_name
        if "category" in self.model_fields_set:
            changes["category"] = self.category
        if self.timezone is not None:
            changes["timezone"] = self.timezone
        return changes


class ShopProfileOut(BaseModel):
    """A shop's own profile."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    email: str
    business_name: str
    category: str | None
    wallet_id: str
    timezone: str


@router.get("/merchants/me")
async def get_profile(caller: Caller, resources: CurrentResources) -> ShopProfileOut:
    """The caller's own profile."""
    return ShopProfileOut.model_validate(await get_shop_profile(resources.reads, caller.owner_id))


@router.patch("/merchants/me", responses=problem_responses(NameNotAllowed, *SECRET_ERRORS))
async def update_profile(
    body: ProfileIn, caller: Caller, address: ClientAddress, resources: CurrentResources
) -> ShopProfileOut:
    """Change the shop's details, password or PIN. A new password signs out every other session."""
    profile = await commands.change_shop(
        identity=caller,
        changes=body.changes(),
        secrets=body.secrets(address),
        sessionmaker=resources.sessionmaker,
        hasher=resources.hasher,
        throttle=resources.throttle,
    )
    return ShopProfileOut.model_validate(profile)
