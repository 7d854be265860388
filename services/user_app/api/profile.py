"""A person's own profile."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import ConfigDict

from services.user_app.api.auth import UserAnswer
from shared.auth.queries import get_person_profile, update_user
from shared.http.dependencies import Caller, ReadSession, WriteSession
from shared.http.fields import Name
from shared.http.problems import problem_responses
from shared.http.secrets_change import SECRET_ERRORS, CurrentSecretsChange, SecretsBody

router = APIRouter(tags=["profile"])


class ProfileBody(SecretsBody):
    """What changes; everything else stays."""

    first_name: Name | None = None
    last_name: Name | None = None

    model_config = ConfigDict(json_schema_extra={"examples": [{"first_name": "Alicia"}]})


@router.get("/users/me")
async def get_profile(caller: Caller, session: ReadSession) -> UserAnswer:
    """The caller's own profile."""
    return UserAnswer.model_validate(await get_person_profile(session, caller.owner_id))


@router.patch("/users/me", responses=problem_responses(*SECRET_ERRORS))
async def update_profile(
    body: ProfileBody, caller: Caller, secrets: CurrentSecretsChange, session: WriteSession
) -> UserAnswer:
    """Change names, password or PIN. A new password signs out every other session."""
    prepared = await secrets.prepare(body)
    names = {"first_name": body.first_name, "last_name": body.last_name}
    await update_user(session, caller.owner_id, {key: name for key, name in names.items() if name is not None})
    await secrets.store(session, prepared)
    return UserAnswer.model_validate(await get_person_profile(session, caller.owner_id))
