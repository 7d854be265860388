"""Old entries lie in files, behind opening balances: the ledger goes on and is proven as before."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import os
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from shared import clock
from shared.db.engine import SessionMaker
from shared.ids import new_id
from shared.ledger.post import post_one
from shared.ledger.rules import Transfer
from shared.models import Account, LedgerSeal, OpeningBalance
from shared.proof import archive, archive_files, seals
from shared.proof.archive import KEPT_FOR, PROVEN_WITHIN, archive_next
from shared.proof.errors import FileDiffers, NotProven, RollUpsBehind, SealDiffers, TooRecent
from tests.support.archive_world import LONG_AGO, ArchiveWorld, old_world


@pytest.fixture
async def world(fresh_sessionmaker: SessionMaker, tmp_path: Path) -> ArchiveWorld:
    return await old_world(fresh_sessionmaker, tmp_path / "archive")


async def openings(world: ArchiveWorld) -> dict[str, tuple[int, int]]:
    statement = select(Account.name, OpeningBalance.seq, OpeningBalance.balance).join(
        OpeningBalance, OpeningBalance.account_id == Account.id
    )
    async with world.sessionmaker() as session:
        return {name: (seq, balance) for name, seq, balance in (await session.execute(statement))}


async def test_what_is_archived_is_in_files_that_its_seals_cover(world: ArchiveWorld) -> None:
    before = await world.count()
    archived = await world.archive()
    assert [(each.seal_id, each.file_name) for each in archived] == [
        (1, "seal-00000001.jsonl.gz"),
        (2, "seal-00000002.jsonl.gz"),
    ]
    assert before - await world.count() == sum(each.entries for each in archived)
    assert await world.entries(world.alice) == [8]
    assert await openings(world) == {
        "Alice": (7, 13_705),
        "Bob": (3, 530),
        "Carol": (1, 900),
        "Chai Point": (4, 265),
    }
    async with world.sessionmaker() as session:
        for made in await session.scalars(select(LedgerSeal).where(LedgerSeal.id <= 2)):
            content = gzip.decompress((world.directory / archive_files.name_of(made.id)).read_bytes())
            assert hashlib.sha256(content).hexdigest() == made.hash
            header, *lines = map(json.loads, content.splitlines())
            assert header[:2] == [made.id, made.previous_hash]
            assert len(lines) == made.entry_count
    await world.require_right()


async def test_the_platforms_accounts_and_pots_keep_their_entries(world: ArchiveWorld) -> None:
    await world.archive()
    left = text(
        "SELECT kind, count(*) FROM entries JOIN accounts ON accounts.id = account_id WHERE entries.seq < 4 GROUP BY 1"
    )
    async with world.sessionmaker() as session:
        assert dict((await session.execute(left)).all()) == {"bank_settlement": 2, "funding": 3}


async def test_an_account_goes_on_and_is_archived_again(world: ArchiveWorld) -> None:
    assert len(await world.archive(clock.now() - LONG_AGO + timedelta(days=3))) == 1
    await world.require_right()
    assert await openings(world) == {
        "Alice": (4, 13_700),
        "Bob": (1, 500),
        "Carol": (1, 900),
        "Chai Point": (1, 300),
    }
    await world.move("p2p", world.alice, world.bob, 5)
    await world.move("refund", world.shop, world.alice, 200, reverses=world.payment)
    assert len(await world.archive()) == 1
    await world.require_right()
    await world.move("payment", world.bob, world.shop, 7)
    await world.seal()
    await world.require_right()
    assert await world.archive() == []
    async with world.sessionmaker() as session:
        assert await session.scalar(select(LedgerSeal.archives_through).where(LedgerSeal.id == 4)) == 2


async def test_an_account_all_of_whose_entries_are_archived_pays_and_is_paid(world: ArchiveWorld) -> None:
    await world.archive()
    assert await world.entries(world.carol) == []
    await world.require_right()
    await world.move("p2p", world.carol, world.bob, 900)
    await world.move("p2p", world.alice, world.carol, 1)
    assert await world.entries(world.carol) == [2, 3]
    await world.require_right()


async def test_the_next_seal_covers_what_was_noted(world: ArchiveWorld) -> None:
    await world.archive()
    await world.move("p2p", world.alice, world.bob, 5)
    await world.seal()
    await world.tamper("UPDATE archived_seals SET file_hash = repeat('0', 64) WHERE seal_id = 1")
    assert "every seal still matches what it sealed" in [each.name for each in (await world.prove()).failed]


EDITS = [
    pytest.param("UPDATE opening_balances SET balance = balance + 1 WHERE account_id = :alice", id="opening balance"),
    pytest.param("UPDATE opening_balances SET seq = seq + 1 WHERE account_id = :alice", id="opening seq"),
    pytest.param("UPDATE opening_balances SET last_entry_at = now() WHERE account_id = :alice", id="opening time"),
    pytest.param("DELETE FROM opening_balances WHERE account_id = :bob", id="opening deleted"),
    pytest.param("UPDATE transfers SET note = 'one line' WHERE id = :payment", id="note of an archived transfer"),
    pytest.param("UPDATE transfers SET amount = amount + 1 WHERE id = :payment", id="amount of an archived transfer"),
    pytest.param("DELETE FROM transfers WHERE id = :payment", id="archived transfer deleted"),
    pytest.param(
        """
        INSERT INTO transfers (id, kind, debit_account_id, credit_account_id, amount, currency, created_at)
        SELECT gen_random_uuid(), 'p2p', :alice, :bob, 5, 'INR', created_at FROM transfers WHERE id = :payment
        """,
        id="old transfer forged",
    ),
    pytest.param("UPDATE inflow_rollups SET amount = amount + 1 WHERE amount = 300", id="roll-up of archived"),
    pytest.param(
        "UPDATE inflow_rollups SET quarter_start = quarter_start + interval '1 hour' WHERE amount = 300",
        id="roll-up moved",
    ),
    pytest.param("DELETE FROM inflow_rollups WHERE amount = 300", id="roll-up deleted"),
    pytest.param("UPDATE inflow_watermarks SET seq = 1", id="watermark lowered"),
    pytest.param("DELETE FROM inflow_watermarks", id="watermark deleted"),
    pytest.param("UPDATE archived_seals SET entries_away = entries_away + 1 WHERE seal_id = 2", id="note's number"),
    pytest.param("UPDATE archived_seals SET rest_hash = 'x' WHERE seal_id = 2", id="note's hash"),
    pytest.param("UPDATE archived_seals SET openings_sum = openings_sum + 1 WHERE seal_id = 2", id="note's openings"),
    pytest.param(
        "UPDATE archived_seals SET transfers_sum = transfers_sum + 1 WHERE seal_id = 1", id="note's transfers"
    ),
    pytest.param("DELETE FROM archived_seals WHERE seal_id = 2", id="note deleted"),
    pytest.param("UPDATE entries SET amount = amount + 1 WHERE amount = 5000", id="entry that stayed"),
    pytest.param("DELETE FROM entries WHERE account_id = :alice AND seq = 8", id="newer entry deleted"),
    pytest.param("UPDATE entries SET balance_after = balance_after + 1 WHERE account_id = :bob", id="newer entry"),
]


@pytest.mark.parametrize("edit", EDITS)
async def test_an_edit_of_what_is_left_is_found_without_the_files(world: ArchiveWorld, edit: str) -> None:
    await world.archive()
    await world.tamper(edit)
    assert not (await world.prove()).ok


def rewrite(change: Callable[[bytes], bytes]) -> Callable[[Path], Any]:
    """Another content, compressed as the files are."""
    return lambda path: path.write_bytes(gzip.compress(change(gzip.decompress(path.read_bytes())), mtime=0))


DAMAGES: list[Any] = [
    pytest.param(Path.unlink, "the file is missing", id="missing"),
    pytest.param(lambda path: path.write_bytes(path.read_bytes()[:-20]), "not what its seal covers", id="cut off"),
    pytest.param(lambda path: path.write_bytes(b"no gzip"), "not what its seal covers", id="replaced"),
    pytest.param(rewrite(lambda said: said.replace(b"300", b"301", 1)), "not what its seal covers", id="amount"),
    pytest.param(rewrite(lambda said: said[: said.rindex(b"[")]), "not what its seal covers", id="line gone"),
    pytest.param(rewrite(bytes), "not the one that was written", id="compressed again"),
]


@pytest.mark.parametrize(("damage", "problem"), DAMAGES)
async def test_a_damaged_file_is_named(world: ArchiveWorld, damage: Callable[[Path], Any], problem: str) -> None:
    await world.archive()
    damage(world.directory / archive_files.name_of(1))
    report = await world.check()
    assert [each["file"] for each in report.problems] == ["seal-00000001.jsonl.gz"]
    assert problem in report.problems[0]["problem"]
    assert (await world.prove()).ok  # what is here is right


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        ("UPDATE transfers SET note = 'one line' WHERE id = :payment", "the transfer in the database is another"),
        ("DELETE FROM transfers WHERE id = :payment", "the transfer in the database is another"),
        ("UPDATE opening_balances SET balance = 1 WHERE account_id = :alice", "the opening balance is not the file's"),
        ("UPDATE opening_balances SET seal_id = 1 WHERE account_id = :bob", "the opening balance is not the file's"),
        ("DELETE FROM opening_balances WHERE account_id = :bob", None),
        ("DELETE FROM archived_seals WHERE seal_id = 1", "the seal, or what was noted when it was archived, is gone"),
        ("DELETE FROM archived_seals WHERE seal_id = 2", "do not follow each other to the opening balances"),
    ],
)
async def test_what_the_files_say_is_compared_with_the_database(
    world: ArchiveWorld, edit: str, named: str | None
) -> None:
    await world.archive()
    await world.tamper(edit)
    found = [str(each["problem"]) for each in (await world.check()).problems]
    assert (found == []) if named is None else any(named in each for each in found), found
    assert not (await world.prove()).ok


class Crash(Exception):
    """The process dies."""


CRASHES = [
    pytest.param("partial", id="while the file is written"),
    pytest.param("file", id="when the file is written"),
    pytest.param("opened", id="when the accounts are opened"),
    pytest.param("deleted", id="when the entries are deleted"),
    pytest.param("committing", id="before it commits"),
]


@pytest.mark.parametrize("moment", CRASHES)
async def test_a_crash_leaves_the_entries_or_the_file_and_a_second_run_goes_on(
    world: ArchiveWorld, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    def die(*_: object, **__: object) -> Any:
        raise Crash

    before = await world.count()
    with monkeypatch.context() as patch:
        match moment:
            case "partial":
                patch.setattr(Path, "hardlink_to", die)
                patch.setattr(Path, "unlink", lambda *_, **__: None)  # what has died cleans nothing up
            case "file":
                patch.setattr(archive, "_let_go", die)
            case "opened":
                patch.setattr(archive, "_DELETE", text("SELECT 1 / 0"))
            case "deleted":
                patch.setattr(archive, "ArchivedSeal", die)
            case "committing":
                patch.setattr(archive._logger, "info", lambda *_: None)
                real = archive._let_go

                async def dies_at_the_end(*arguments: Any) -> int | None:
                    await real(*arguments)
                    raise Crash

                patch.setattr(archive, "_let_go", dies_at_the_end)
        with pytest.raises((Crash, DBAPIError, AttributeError)):
            await world.archive()
    assert await world.count() == before
    assert await openings(world) == {}
    assert (await world.prove()).ok
    assert len(await world.archive()) == 2
    assert sorted(each.name for each in world.directory.iterdir()) == [
        archive_files.name_of(1),
        archive_files.name_of(2),
    ]
    await world.require_right()


async def test_a_file_that_came_meanwhile_is_not_replaced(world: ArchiveWorld, tmp_path: Path) -> None:
    async def content() -> AsyncIterator[tuple[bytes, int]]:
        path.write_bytes(b"of another process")
        yield b"ours", 0

    path = tmp_path / "file"
    await archive_files.write(path, content(), expected_hash=hashlib.sha256(b"ours").hexdigest())
    assert os.listdir(tmp_path) == ["file"]
    assert path.read_bytes() == b"of another process"


async def test_a_file_of_another_ledger_is_not_overwritten(world: ArchiveWorld) -> None:
    world.directory.mkdir()
    path = world.directory / archive_files.name_of(1)
    of_another_ledger = gzip.compress(b"of another ledger")
    path.write_bytes(of_another_ledger)
    with pytest.raises(FileDiffers, match="move it away"):
        await world.archive()
    assert path.read_bytes() == of_another_ledger
    assert await openings(world) == {}


@pytest.mark.parametrize("is_written", [False, True])
async def test_entries_that_are_not_what_was_sealed_stay(world: ArchiveWorld, is_written: bool) -> None:
    if is_written:
        world.directory.mkdir()
        async with world.sessionmaker() as session:
            made = await session.get_one(LedgerSeal, 1)
            path = world.directory / archive_files.name_of(1)
            await archive_files.write(path, seals.content(session, made), expected_hash=made.hash)
    await world.tamper("UPDATE transfers SET note = 'one line' WHERE id = :payment")
    with pytest.raises(SealDiffers):
        await world.archive()
    assert await openings(world) == {}
    assert len(list(world.directory.iterdir())) == is_written


async def test_it_is_refused_without_a_proof_of_late(world: ArchiveWorld) -> None:
    await world.tamper("DELETE FROM proof_runs")
    with pytest.raises(NotProven):
        await world.archive()
    run_at = clock.now() - PROVEN_WITHIN - timedelta(minutes=1)
    with clock.reading(lambda: run_at):
        await world.prove()
    with pytest.raises(NotProven):
        await world.archive()
    await world.prove()
    await world.tamper("UPDATE accounts SET balance = balance + 1 WHERE id = :alice")
    assert not (await world.prove()).ok
    with pytest.raises(NotProven):
        await world.archive()
    await world.tamper("UPDATE accounts SET balance = balance - 1 WHERE id = :alice")
    await world.prove()
    assert len(await world.archive()) == 2


async def test_what_is_younger_than_a_year_is_refused(world: ArchiveWorld) -> None:
    with pytest.raises(TooRecent):
        await world.archive(clock.now() - KEPT_FOR + timedelta(minutes=1))


async def test_entries_that_are_not_rolled_up_stay(world: ArchiveWorld) -> None:
    await world.tamper("UPDATE inflow_watermarks SET seq = 0 WHERE account_id = :shop")
    with pytest.raises(RollUpsBehind):
        await world.archive()
    assert await openings(world) == {}


async def test_two_at_once_archive_each_seal_once(world: ArchiveWorld) -> None:
    both = await asyncio.gather(world.archive(), world.archive())
    assert sorted(each.seal_id for one in both for each in one) == [1, 2]
    await world.require_right()


async def test_money_moves_while_entries_are_archived(world: ArchiveWorld) -> None:
    is_over = asyncio.Event()

    async def pay() -> int:
        payments = 0
        while not is_over.is_set():
            await world.move("p2p", world.alice, world.bob, 1)
            await world.move("payment", world.bob, world.shop, 1)
            payments += 1
        return payments

    paying = [asyncio.create_task(pay()) for _ in range(3)]
    await asyncio.sleep(0)
    assert len(await world.archive()) == 2
    is_over.set()
    assert sum(await asyncio.gather(*paying)) > 0
    await world.require_right()


async def test_a_transfer_does_not_wait_for_the_archive(world: ArchiveWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    real, moved = archive._let_go, []

    async def moves_before_it_commits(*arguments: Any) -> int | None:
        entries = await real(*arguments)
        moved.append(await world.move("p2p", world.alice, world.bob, 1))  # locks both accounts, in another transaction
        return entries

    monkeypatch.setattr(archive, "_let_go", moves_before_it_commits)
    world.directory.mkdir()
    assert await archive_next(world.sessionmaker, world.directory, before=clock.now() - KEPT_FOR) is not None
    assert len(moved) == 1
    await world.require_right()


async def test_a_transfer_costs_no_read_and_no_trigger_more(world: ArchiveWorld) -> None:
    """What a payment writes has no trigger for this, and the function that writes it does not name these tables."""
    await world.archive()
    reads = text("""
        SELECT relname, coalesce(seq_scan, 0) + coalesce(idx_scan, 0) FROM pg_stat_xact_user_tables
        WHERE relname IN ('opening_balances', 'archived_seals')
    """)
    triggers = text("""
        SELECT tgrelid::regclass::text, tgname FROM pg_trigger
        WHERE tgrelid IN ('accounts'::regclass, 'entries'::regclass, 'transfers'::regclass, 'holds'::regclass)
          AND (tgconstrrelid IN ('opening_balances'::regclass, 'archived_seals'::regclass)
               OR tgrelid = 'entries'::regclass AND NOT tgisinternal AND tgtype & 4 = 4)
    """)
    async with world.sessionmaker() as session:
        before = (await session.execute(reads)).all()
        await post_one(session, Transfer(new_id(), "p2p", world.alice.id, world.bob.id, 1))
        assert (await session.execute(reads)).all() == before
        assert (await session.execute(triggers)).all() == []
        source = await session.scalar(text("SELECT prosrc FROM pg_proc WHERE proname = 'post_to_ledger'"))
        await session.rollback()
    assert "opening" not in source
    assert "archived" not in source
