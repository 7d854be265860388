"""Seals chain over what was written, once each, and show every later edit."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import func, select, text

from shared.db.engine import SessionMaker
from shared.ids import new_id
from shared.ledger.post import post_one
from shared.ledger.rules import Transfer
from shared.models import Account, Entry, LedgerSeal, LedgerSealRange
from shared.proof import seals
from shared.proof.seals import FIRST_PREVIOUS_HASH, seal, verify
from tests.support.factories import create_user


async def seal_now(sessionmaker: SessionMaker) -> LedgerSeal | None:
    async with sessionmaker.begin() as session:
        return await seal(session)


async def problems(sessionmaker: SessionMaker) -> list[str]:
    async with sessionmaker() as session:
        return [str(row["problem"]) for row in await verify(session, limit=20)]


async def tamper(sessionmaker: SessionMaker, statement: str) -> None:
    async with sessionmaker.begin() as session:
        await session.execute(text("SET LOCAL session_replication_role = replica"))
        await session.execute(text(statement))


@pytest.fixture
async def pair(fresh_sessionmaker: SessionMaker) -> tuple[Account, Account]:
    async with fresh_sessionmaker.begin() as session:
        alice, bob = await create_user(session, balance=1000), await create_user(session)
        await post_one(session, Transfer(new_id(), "p2p", alice.id, bob.id, 10, note='two\nlines | "quoted" ₹'))
    return alice, bob


async def test_each_seal_covers_what_the_last_did_not(
    fresh_sessionmaker: SessionMaker, pair: tuple[Account, Account]
) -> None:
    first = await seal_now(fresh_sessionmaker)
    assert first is not None
    assert (first.id, first.previous_hash, first.entry_count) == (1, FIRST_PREVIOUS_HASH, 4)
    assert await seal_now(fresh_sessionmaker) is None
    async with fresh_sessionmaker.begin() as session:
        await post_one(session, Transfer(new_id(), "p2p", pair[0].id, pair[1].id, 5))
    second = await seal_now(fresh_sessionmaker)
    assert second is not None
    assert (second.id, second.previous_hash, second.entry_count) == (2, first.hash, 2)
    assert await problems(fresh_sessionmaker) == []


async def test_seals_made_at_once_cover_every_entry_once(
    fresh_sessionmaker: SessionMaker, pair: tuple[Account, Account]
) -> None:
    made = await asyncio.gather(*[seal_now(fresh_sessionmaker) for _ in range(5)])
    assert len([one for one in made if one is not None]) == 1
    async with fresh_sessionmaker() as session:
        covered = select(func.sum(LedgerSealRange.last_seq - LedgerSealRange.first_seq + 1))
        assert await session.scalar(covered) == await session.scalar(select(func.count()).select_from(Entry))


async def test_much_to_seal_makes_several_seals_of_bounded_size(
    fresh_sessionmaker: SessionMaker, pair: tuple[Account, Account], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with fresh_sessionmaker.begin() as session:
        for _ in range(10):
            await post_one(session, Transfer(new_id(), "p2p", pair[0].id, pair[1].id, 1))
    monkeypatch.setattr(seals, "ENTRIES_PER_SEAL", 4)
    counts = []
    while (made := await seal_now(fresh_sessionmaker)) is not None:
        counts.append(made.entry_count)
    assert sum(counts) == 24
    assert len(counts) > 2
    assert max(counts) < 8
    assert await problems(fresh_sessionmaker) == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE transfers SET note = 'one line'",
        "UPDATE transfers SET initiated_by = (SELECT id FROM owners LIMIT 1)",
        "UPDATE entries SET amount = amount + 1 WHERE seq = 1",
        "DELETE FROM entries WHERE seq = 1",
        "DELETE FROM transfers WHERE kind = 'p2p'",
        "UPDATE ledger_seals SET entry_count = entry_count + 1",
        "UPDATE ledger_seals SET sealed_at = sealed_at - interval '1 day' WHERE id = 1",
        "UPDATE ledger_seals SET previous_hash = hash WHERE id = 2",
        "DELETE FROM ledger_seals WHERE id = 1",
        "DELETE FROM ledger_seal_ranges WHERE seal_id = 1",
    ],
)
async def test_an_edit_of_anything_sealed_is_found(
    fresh_sessionmaker: SessionMaker, pair: tuple[Account, Account], statement: str
) -> None:
    assert await seal_now(fresh_sessionmaker) is not None
    async with fresh_sessionmaker.begin() as session:
        await post_one(session, Transfer(new_id(), "p2p", pair[0].id, pair[1].id, 5))
    assert await seal_now(fresh_sessionmaker) is not None
    assert await problems(fresh_sessionmaker) == []
    await tamper(fresh_sessionmaker, statement)
    assert await problems(fresh_sessionmaker) != []


async def test_the_chain_does_not_depend_on_the_sessions_time_zone(
    fresh_sessionmaker: SessionMaker, pair: tuple[Account, Account]
) -> None:
    assert await seal_now(fresh_sessionmaker) is not None
    async with fresh_sessionmaker() as session:
        await session.execute(text("SET LOCAL timezone = 'Asia/Kolkata'"))
        made = await session.get_one(LedgerSeal, 1)
        assert made.sealed_at.utcoffset() == timedelta(0)
        assert await verify(session, limit=20) == []


async def test_a_gap_in_the_entries_stops_the_sealing(
    fresh_sessionmaker: SessionMaker, pair: tuple[Account, Account]
) -> None:
    await tamper(fresh_sessionmaker, "DELETE FROM entries WHERE seq = 1")
    with pytest.raises(RuntimeError, match="batua prove"):
        await seal_now(fresh_sessionmaker)
