"""A shop's own profile."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import ConfigDict

from services.merchant_app.api.auth import MerchantAnswer
from shared.auth.queries import get_shop_profile, update_merchant
from shared.http.dependencies import Caller, ReadSession, WriteSession
from shared.http.fields import Name, Timezone
from shared.http.problems import problem_responses
from shared.http.secrets_change import SECRET_ERRORS, CurrentSecretsChange, SecretsBody

router = APIRouter(tags=["profile"])


class ProfileBody(SecretsBody):
    """What changes; everything else stays. A `category` of null takes it away."""

    business_name: Name | None = None
    category: Name | None = None
    timezone: Timezone | None = None

    model_config = ConfigDict(json_schema_extra={"examples": [{"timezone": "Asia/Dubai"}]})

    def changes(self) -> dict[str, Any]:
        """The columns to write."""
        given = {"business_name": self.business_name, "timezone": self.timezone}
        wanted = {name: value for name, value in given.items() if value is not None}
        return wanted | ({"category": self.category} if "category" in self.model_fields_set else {})


@router.get("/merchants/me")
async def get_profile(caller: Caller, session: ReadSession) -> MerchantAnswer:
    """The caller's own profile."""
    return MerchantAnswer.model_validate(await get_shop_profile(session, caller.owner_id))


@router.patch("/merchants/me", responses=problem_responses(*SECRET_ERRORS))
async def update_profile(
    body: ProfileBody, caller: Caller, secrets: CurrentSecretsChange, session: WriteSession
) -> MerchantAnswer:
    """Change the shop's details, password or PIN. A new password signs out every other session."""
    prepared = await secrets.prepare(body)
    await update_merchant(session, caller.owner_id, body.changes())
    await secrets.store(session, prepared)
    return MerchantAnswer.model_validate(await get_shop_profile(session, caller.owner_id))
