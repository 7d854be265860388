"""Finding friends."""

from __future__ import annotations

import pytest

from shared.db.engine import SessionMaker
from shared.ids import new_token
from shared.models import Account, Owner
from shared.transfers.queries import find_people
from tests.support import factories


async def find(sessionmaker: SessionMaker, asked_by: Account, text: str, **options: int) -> list[str]:
    assert asked_by.owner_id is not None
    async with sessionmaker() as session:
        people = await find_people(session, asked_by=asked_by.owner_id, text=text, limit=options.get("limit", 100))
    return [person.wallet_id for person in people]


@pytest.fixture
def tag() -> str:
    """Part of a first name that no other test's people have."""
    return "Q" + "".join(letter for letter in new_token(12) if letter.isalpha())


async def test_people_are_found_by_part_of_name_or_wallet_id_in_any_case(sessionmaker: SessionMaker, tag: str) -> None:
    async with sessionmaker.begin() as session:
        asha = await factories.create_user(session)
        friend = await factories.create_user(session, first_name=tag)
    assert friend.handle is not None
    for text in (
        tag,
        tag.lower(),
        tag[1:].upper(),
        f"{tag} ra",
        f"  {tag}   Rao ",
        friend.handle,
        friend.handle.upper(),
    ):
        assert await find(sessionmaker, asha, text) == [friend.handle], text


async def test_a_search_finds_other_people_only(sessionmaker: SessionMaker, tag: str) -> None:
    async with sessionmaker.begin() as session:
        asha = await factories.create_user(session, first_name=tag)
        await factories.create_merchant(session, business_name=tag)
        await factories.create_user(session, first_name=tag, is_system=True)
    assert await find(sessionmaker, asha, tag) == []


async def test_a_search_for_an_email_finds_no_person(sessionmaker: SessionMaker) -> None:
    async with sessionmaker.begin() as session:
        asha = await factories.create_user(session)
        friend = await factories.create_user(session)
        email = (await session.get_one(Owner, friend.owner_id)).email
    assert await find(sessionmaker, asha, email) == []
    assert await find(sessionmaker, asha, email.partition("@")[0]) == []


async def test_wildcards_and_the_common_end_of_wallet_ids_match_only_themselves(
    sessionmaker: SessionMaker, tag: str
) -> None:
    async with sessionmaker.begin() as session:
        asha = await factories.create_user(session)
        await factories.create_user(session, first_name=tag)
        percent = await factories.create_user(session, first_name=f"{tag}%")
    assert await find(sessionmaker, asha, f"{tag}%") == [percent.handle]
    for text in (f"{tag[:3]}_{tag[4:]}", f"{tag}\\", "batua"):
        assert await find(sessionmaker, asha, text) == []


async def test_pages_go_on_after_the_last_person_seen(sessionmaker: SessionMaker, tag: str) -> None:
    async with sessionmaker.begin() as session:
        asha = await factories.create_user(session)
        friends = sorted([(await factories.create_user(session, first_name=tag)).handle or "" for _ in range(5)])
    whole = await find(sessionmaker, asha, tag)
    assert sorted(whole) == friends
    assert asha.owner_id is not None
    async with sessionmaker() as session:
        second = (await find_people(session, asked_by=asha.owner_id, text=tag, limit=2))[1].id
        rest = await find_people(session, asked_by=asha.owner_id, text=tag, limit=2, after=second)
    assert [person.wallet_id for person in rest] == whole[2:4]
    assert await find(sessionmaker, asha, "") != []
