"""The quick proof names what is damaged among new rows and accounts about to pay out, and reads no history for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.db.engine import SessionMaker
from shared.ids import new_id, smallest_id
from shared.ledger.post import post
from shared.ledger.rules import Transfer
from shared.models import Account
from shared.proof import quick
from shared.proof.prove import BEFORE_ALL
from shared.proof.quick import Beginning, QuickReport, check_new, prove_new
from tests.support.bank_flows import create_withdrawal
from tests.support.factories import create_user

_ROWS_READ = """
    SELECT sum(seq_tup_read + idx_tup_fetch)::bigint
           + (SELECT sum(pg_stat_get_xact_tuples_returned(indexrelid))::bigint FROM pg_stat_user_indexes)
    FROM pg_stat_xact_user_tables
"""


@dataclass(frozen=True, slots=True)
class Books:
    sessionmaker: SessionMaker
    alice: Account
    bob: Account

    async def send(self, count: int) -> UUID:
        """Alice sends Bob a paisa, so many times; the last transfer's id."""
        transfers = [Transfer(new_id(), "p2p", self.alice.id, self.bob.id, 1) for _ in range(count)]
        async with self.sessionmaker.begin() as session:
            await post(session, transfers)
        return transfers[-1].id

    async def prove(self, after: UUID = BEFORE_ALL, **beginning: object) -> QuickReport:
        return await prove_new(self.sessionmaker, Beginning(after, **beginning), rest_share=0)  # type: ignore[arg-type]

    async def damage(self, statement: str) -> None:
        """As a superuser whom no trigger and no foreign key stops."""
        async with self.sessionmaker.begin() as session:
            await session.execute(text("SET LOCAL session_replication_role = replica"))
            result = await session.execute(text(statement), {"alice": self.alice.id, "bob": self.bob.id})
            assert result.rowcount == 1  # type: ignore[attr-defined]  # a DML result

    async def rows_read(self, after: UUID) -> int:
        engine = self.sessionmaker.kw["bind"]
        async with engine.connect() as connection, AsyncSession(connection) as session:
            await session.execute(text("SELECT pg_stat_force_next_flush()"))
            await session.rollback()
            report = await check_new(session, Beginning(after))
            assert report.proof.ok, report.proof.failed
            assert report.proof.rows["transfers"] == 10
            return int(await session.scalar(text(_ROWS_READ)) or 0)


@pytest.fixture
async def books(fresh_sessionmaker: SessionMaker) -> Books:
    async with fresh_sessionmaker.begin() as session:
        alice = await create_user(session, balance=100_000)
        bob = await create_user(session, balance=100)
    return Books(fresh_sessionmaker, alice, bob)


def failed(report: QuickReport) -> str:
    return " | ".join(check.name for check in report.proof.failed)


async def test_honest_books_prove_from_the_beginning_and_from_the_last_transfer(books: Books) -> None:
    last = await books.send(5)
    report = await books.prove()
    assert report.proof.ok, report.proof.failed
    assert report.seen_through == last
    assert report.proof.rows["transfers"] == 7
    assert (await books.prove(last)).proof.rows["transfers"] == 0


_DAMAGES = [
    ("entries", "amount = amount + 1", "amount = amount - 1", "seq = 4", "exactly its two entries"),
    ("entries", "balance_after = balance_after + 1", "balance_after = balance_after - 1", "seq = 4", "follows the one"),
    ("entries", "seq = seq + 90", "seq = seq - 90", "seq IN (4, 94)", "follows the one before"),
    ("entries", "seq = seq + 90", "seq = seq - 90", "seq IN (6, 96)", "as its last entry left it"),
    ("accounts", "balance = balance + 1", "balance = balance - 1", "", "as its last entry left it"),
    ("accounts", "held = 1", "held = 0", "", "held amount"),
]


async def test_damage_among_what_is_new_is_named_until_it_is_mended(books: Books) -> None:
    after = await books.send(2)
    await books.send(3)
    for table, change, back, where, broken in _DAMAGES:
        of_bob = f"account_id = :bob AND {where}" if where else "id = :bob"
        await books.damage(f"UPDATE {table} SET {change} WHERE {of_bob}")
        assert broken in failed(await books.prove(after)), change
        await books.damage(f"UPDATE {table} SET {back} WHERE {of_bob}")
        assert (await books.prove(after)).proof.ok, back


async def test_an_account_with_a_withdrawal_under_way_is_checked_though_nothing_of_it_is_new(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quick, "ACCOUNTS_IN_TURN", 1)  # the first, which is the platform's own
    async with books.sessionmaker.begin() as session:
        withdrawal = await create_withdrawal(session, books.bob, 60, status="queued")
    last = await books.send(1)
    await books.damage("UPDATE accounts SET balance = balance + 5000 WHERE id = :bob")
    assert "as its last entry left it" in failed(await books.prove(last))
    await books.damage("UPDATE accounts SET balance = balance - 5000 WHERE id = :bob")
    await books.damage(f"UPDATE withdrawals SET amount = 6000 WHERE id = '{withdrawal.id}'")
    assert "one withdrawal under way" in failed(await books.prove(last))


async def test_all_accounts_get_their_turn_and_those_named_before_are_checked_each_time(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quick, "ACCOUNTS_IN_TURN", 3)
    last = await books.send(1)
    await books.damage("UPDATE accounts SET balance = balance + 5000 WHERE id = :bob")
    turns = [await books.prove(last)]
    while turns[-1].accounts_through != BEFORE_ALL:
        turns.append(await books.prove(last, accounts_after=turns[-1].accounts_through))
    assert [report.proof.ok for report in turns].count(False) == 1
    assert len(turns) > 2
    assert not (await books.prove(last, named=[books.bob.id])).proof.ok


async def test_a_run_without_time_goes_on_where_the_last_one_ended(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.proof.prove.CHUNK_ROWS", 3)
    await books.send(10)
    hasty = await prove_new(books.sessionmaker, Beginning(), seconds=0, rest_share=0)
    assert hasty.proof.rows["transfers"] == 0
    assert hasty.transfers_through == BEFORE_ALL
    assert (await books.prove()).proof.rows["transfers"] == 12


async def test_the_next_run_begins_so_far_back_that_a_late_commit_is_seen(books: Books) -> None:
    last = await books.send(1)
    through = (await books.prove()).transfers_through
    assert through < last
    assert through > smallest_id(clock.now() - quick.LATE_COMMIT - timedelta(hours=1))


async def test_what_it_reads_does_not_grow_with_the_history(books: Books) -> None:
    after = await books.send(20)
    await books.send(10)
    short = await books.rows_read(after)
    await books.send(3000)
    after = await books.send(20)
    await books.send(10)
    assert await books.rows_read(after) <= short * 1.2
