"""The last look before a payout begins at the opening balance where older entries are archived."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.db.engine import SessionMaker
from shared.withdrawals import cover
from shared.withdrawals.cover import not_covered
from tests.support.archive_world import ArchiveWorld, old_world
from tests.support.bank_flows import create_withdrawal


@pytest.fixture
async def world(fresh_sessionmaker: SessionMaker, tmp_path: Path) -> ArchiveWorld:
    made = await old_world(fresh_sessionmaker, tmp_path / "archive")
    await made.archive()
    return made


async def is_covered(world: ArchiveWorld, name: str, *edits: str) -> bool:
    wallet = {"alice": world.alice, "carol": world.carol}[name]
    async with world.sessionmaker.begin() as session:
        withdrawal = await create_withdrawal(session, wallet, 500, status="queued")
    for edit in edits:
        await world.tamper(edit)
    async with world.sessionmaker() as session:
        return await not_covered(session, [withdrawal.id]) == set()


@pytest.mark.parametrize("name", ["alice", "carol"])
async def test_an_archived_account_pays_out(world: ArchiveWorld, name: str) -> None:
    assert await is_covered(world, name)


async def test_one_with_more_entries_than_are_added_up_pays_out(
    world: ArchiveWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cover, "NEWEST_ENTRIES", 2)
    for _ in range(3):
        await world.move("p2p", world.alice, world.bob, 1)
    assert await is_covered(world, "alice")


@pytest.mark.parametrize(
    ("name", "edit"),
    [
        ("alice", "UPDATE opening_balances SET balance = balance + 1 WHERE account_id = :alice"),
        ("carol", "UPDATE opening_balances SET balance = balance + 1 WHERE account_id = :carol"),
        ("carol", "UPDATE opening_balances SET seq = seq + 1 WHERE account_id = :carol"),
        ("carol", "UPDATE accounts SET balance = balance + 1 WHERE id = :carol"),
        ("carol", "DELETE FROM opening_balances WHERE account_id = :carol"),
        ("alice", "UPDATE entries SET amount = amount + 1 WHERE account_id = :alice"),
        ("alice", "DELETE FROM entries WHERE account_id = :alice"),
    ],
)
async def test_what_does_not_follow_the_opening_balance_is_not_paid_out(
    world: ArchiveWorld, name: str, edit: str
) -> None:
    assert not await is_covered(world, name, edit)
