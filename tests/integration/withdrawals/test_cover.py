"""A payout that the books do not cover is not sent: a person looks into it."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from shared.withdrawals import cover
from tests.support.factories import fund
from tests.support.withdrawal_world import World, owner_of

EDITS = [
    pytest.param("UPDATE accounts SET balance = balance + 1 WHERE id = :account", id="balance"),
    pytest.param("UPDATE accounts SET seq = seq + 1 WHERE id = :account", id="seq"),
    pytest.param("UPDATE accounts SET held = 0 WHERE id = :account", id="held"),
    pytest.param("UPDATE entries SET amount = amount + 1 WHERE account_id = :account", id="entry's amount"),
    pytest.param(
        "UPDATE entries SET balance_after = balance_after + 1 WHERE account_id = :account", id="entry's balance"
    ),
    pytest.param("DELETE FROM entries WHERE account_id = :account", id="entries gone"),
    pytest.param("UPDATE holds SET amount = amount - 1 WHERE account_id = :account", id="hold's amount"),
    pytest.param(
        "UPDATE holds SET status = 'released', closed_at = now() WHERE account_id = :account", id="hold ended"
    ),
]


@pytest.mark.parametrize("edit", EDITS)
async def test_what_the_books_do_not_cover_is_not_sent(world: World, edit: str) -> None:
    wallet = await world.person()
    withdrawal = await world.ask(wallet)
    async with world.sessionmaker.begin() as session:  # as a superuser, whom no trigger stops
        await session.execute(text("SET LOCAL session_replication_role = replica"))
        await session.execute(text(edit), {"account": wallet.id})
    assert await world.engine.advance(owner_of(wallet)) == 0
    assert (await world.row(withdrawal)).status == "needs_review"
    assert (await world.kinds(withdrawal))[-1] == "needs_review"
    assert world.calls(withdrawal) == []


async def test_only_the_newest_entries_are_added_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cover, "NEWEST_ENTRIES", 3)
    wallet = await world.person()
    async with world.sessionmaker.begin() as session:
        for _ in range(5):
            await fund(session, wallet.id, 1_00)
    withdrawal = await world.ask(wallet)
    async with world.sessionmaker.begin() as session:
        await session.execute(text("SET LOCAL session_replication_role = replica"))
        edit = text("UPDATE entries SET amount = amount + 1 WHERE account_id = :account AND seq = 1")
        await session.execute(edit, {"account": wallet.id})
    await world.work_until_status([withdrawal], "succeeded")  # an old entry is the proof's
