"""The JSON route that finds people to send money to."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict

from shared.http.dependencies import Caller, CurrentResources
from shared.http.pagination import Page, PageQuery, cursor_of
from shared.http.problems import problem_responses
from shared.http.query_parameters import OptionalSearch
from shared.quotas.errors import TooManySearches
from shared.transfers.errors import FilterTooShort
from shared.transfers.queries import find_people

router = APIRouter(prefix="/users", tags=["users"])


class PersonOut(BaseModel):
    """A person who can be sent money."""

    id: UUID
    first_name: str
    last_name: str
    wallet_id: str

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "0199f0c2-6f2c-7a55-9c07-2f6a4f6d1f10",
                    "first_name": "Bob",
                    "last_name": "Sen",
                    "wallet_id": "bob@batua",
                }
            ]
        }
    )


@router.get("", responses=problem_responses(FilterTooShort, TooManySearches))
async def search_users(
    caller: Caller,
    resources: CurrentResources,
    page: PageQuery,
    text: Annotated[
        OptionalSearch,
        Query(
            alias="filter",
            description="At least three letters of a name or wallet id, in any case; or a whole wallet id",
        ),
    ] = None,
) -> Page[PersonOut]:
    """People by name or wallet id, never by email and never the caller."""
    after = page.after_id()
    with resources.quotas.search(caller.owner_id):
        found = await resources.search(
            lambda session: find_people(
                session, asked_by=caller.owner_id, text=text or "", limit=page.limit + 1, after=after
            )
        )
    shown = found[: page.limit]
    next_cursor = cursor_of(shown[-1].id) if len(found) > page.limit else None
    items = [
        PersonOut(id=each.id, first_name=each.first_name, last_name=each.last_name, wallet_id=each.wallet_id)
        for each in shown
    ]
    return Page(items=items, next_cursor=next_cursor)
