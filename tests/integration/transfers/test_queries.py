"""Finding friends."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlalchemy.dialects import postgresql

from shared.db.engine import SessionMaker
from shared.ids import new_id, new_token
from shared.models import Account, Owner
from shared.transfers import queries
from shared.transfers.queries import find_people
from tests.support import factories


async def find(sessionmaker: SessionMaker, asked_by: Account, words: str, **options: int) -> list[str]:
    assert asked_by.owner_id is not None
    async with sessionmaker() as session:
        people = await find_people(session, asked_by=asked_by.owner_id, text=words, limit=options.get("limit", 100))
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
    for words in (
        tag,
        tag.lower(),
        tag[1:].upper(),
        f"{tag} ra",
        f"  {tag}   Rao ",
        friend.handle,
        friend.handle.upper(),
    ):
        assert await find(sessionmaker, asha, words) == [friend.handle], words


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
    for words in (f"{tag[:3]}_{tag[4:]}", f"{tag}\\", "batua"):
        assert await find(sessionmaker, asha, words) == []


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


MANY_PEOPLE = """
    WITH owner AS (
        INSERT INTO owners (id, kind, email, password_hash, pin_hash, created_at)
        SELECT gen_random_uuid(), 'user', 'many' || n || '@example.com', '', '', now() FROM generate_series(1, 4000) n
        RETURNING id, substr(email, 5, 8) AS name
    ), person AS (INSERT INTO users (id, first_name, last_name) SELECT id, md5(name), 'Rao' FROM owner)
    INSERT INTO accounts (id, owner_id, kind, name, handle, currency, created_at)
    SELECT id, id, 'wallet', 'Wallet', left(md5(id::text), 12) || '@batua', 'INR', now() FROM owner
"""


async def test_a_search_reads_no_table_whole(sessionmaker: SessionMaker) -> None:
    plans = {}
    async with sessionmaker() as session:  # which ends without a commit
        await session.execute(text(MANY_PEOPLE))
        await session.execute(text("ANALYZE users, accounts, owners"))
        for words in ("Qab", "qab rao", "क़लम", "qa\u0301b@batua", "qa@batua"):
            sql = (
                queries._people_named(words, new_id())
                .limit(11)
                .compile(
                    dialect=postgresql.dialect(),  # type: ignore[no-untyped-call]
                    compile_kwargs={"literal_binds": True},
                )
            )
            plans[words] = "\n".join((await session.execute(text(f"EXPLAIN {sql}".replace(":", "\\:")))).scalars())
    assert [plan for plan in plans.values() if "Seq Scan" in plan] == []
    whole = plans.pop("qa@batua")
    assert "uq_accounts_handle" in whole, whole
    for plan in plans.values():
        assert "ix_users_search" in plan, plan
        assert "ix_accounts_wallet_id_search" in plan, plan
