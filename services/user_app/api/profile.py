"""JSON routes of a person's own profile."""

from __future__ import annotations

from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from shared.auth import commands
from shared.auth.commands import PersonChanges
from shared.auth.errors import NameNotAllowed
from shared.auth.queries import get_person_profile
from shared.http.dependencies import Caller, ClientAddress, CurrentResources
from shared.http.fields import Name
from shared.http.problems import problem_responses
from shared.http.secrets_change import SECRET_ERRORS, SecretsIn

router = APIRouter(tags=["profile"])


class ProfileIn(SecretsIn):
    """What changes; everything else stays."""

    first_name: Name | None = None
    last_name: Name | None = None

    model_config = ConfigDict(json_schema_extra={"examples": [{"first_name": "Alicia"}]})

    def changes(self) -> PersonChanges:
        """The names that were sent."""
        changes = PersonChanges()
        if self.first_name is not None:
            changes["first_name"] = self.first_name
        if self.last_name is not None:
            changes["last_name"] = self.last_name
        return changes


class PersonProfileOut(BaseModel):
    """A person's own profile."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    email: str
    first_name: str
    last_name: str
    wallet_id: str


@router.get("/users/me")
async def get_profile(caller: Caller, resources: CurrentResources) -> PersonProfileOut:
    """The caller's own profile."""
    return PersonProfileOut.model_validate(
        await resources.read(lambda session: get_person_profile(session, caller.owner_id))
    )


@router.patch("/users/me", responses=problem_responses(NameNotAllowed, *SECRET_ERRORS))
async def update_profile(
    body: ProfileIn, caller: Caller, address: ClientAddress, resources: CurrentResources
) -> PersonProfileOut:
    """Change names, password or PIN. A new password signs out every other session."""
    profile = await commands.change_person(
        identity=caller,
        changes=body.changes(),
        secrets=body.secrets(address),
        sessionmaker=resources.sessionmaker,
        hasher=resources.hasher,
        throttle=resources.throttle,
    )
    return PersonProfileOut.model_validate(profile)
