"""The proof holds for honest books, and each of its checks is seen failing for its own reason."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from sqlalchemy import text

from shared import clock
from shared.banks.messages import StatementItem
from shared.db.engine import SessionMaker
from shared.ids import new_id
from shared.ledger import system_accounts
from shared.ledger.post import post, post_one
from shared.ledger.rules import Transfer
from shared.models import Account
from shared.proof.prove import MAX_OFFENDERS, ProofReport, prove
from shared.proof.seals import seal
from tests.support.bank_flows import BankMove, bank_statement, create_on_ramp, create_withdrawal
from tests.support.factories import create_merchant, create_user


@dataclass(slots=True)
class World:
    """Accounts, transfers, holds, on-ramps and withdrawals, with HDFC's statement about them."""

    sessionmaker: SessionMaker
    alice: Account
    bob: Account
    moves: list[BankMove] = field(default_factory=list)

    async def prove(self, moves: list[BankMove] | None = None) -> ProofReport:
        statement = bank_statement(self.moves if moves is None else moves)
        return await prove(self.sessionmaker, statements={"hdfc": statement, "axis": []})

    async def tamper(self, *statements: str) -> None:
        """Edit behind the ledger's back, as a superuser whom no trigger and no foreign key stops."""
        async with self.sessionmaker.begin() as session:
            await session.execute(text("SET LOCAL session_replication_role = replica"))
            for statement in statements:
                result = await session.execute(text(statement), {"alice": self.alice.id, "bob": self.bob.id})
                assert result.rowcount > 0, f"changed nothing: {statement}"  # type: ignore[attr-defined]  # a DML result


@pytest.fixture
async def world(fresh_sessionmaker: SessionMaker) -> World:
    async with fresh_sessionmaker.begin() as session:
        alice = await create_user(session, first_name="Alice", balance=10_000)
        bob = await create_user(session, first_name="Bob")
        shop = await create_merchant(session)
        made = World(fresh_sessionmaker, alice, bob)
        added = await create_on_ramp(session, alice, 5_000)
        await create_on_ramp(session, alice, 700, status="failure")
        await post_one(session, Transfer(new_id(), "p2p", alice.id, bob.id, 400, note="chai"))
        paid = Transfer(new_id(), "payment", alice.id, shop.id, 300)
        await post_one(session, paid)
        await post_one(session, Transfer(new_id(), "refund", shop.id, alice.id, 100, reverses=paid.id))
        sent = await create_withdrawal(session, alice, 1_000)
        back = await create_withdrawal(session, alice, 200, status="reversed")
        await create_withdrawal(session, alice, 50, status="failed")
        await create_withdrawal(session, bob, 60, status="queued")
        made.moves = [
            (str(added.id), "CREDIT", 5_000),
            (str(sent.id), "DEBIT", 1_000),
            (str(back.id), "DEBIT", 200),
            (str(back.id), "CREDIT", 200),
        ]
    async with fresh_sessionmaker.begin() as session:
        assert await seal(session) is not None
    return made


def failed_names(report: ProofReport) -> str:
    return " | ".join(check.name for check in report.failed)


async def test_honest_books_prove(world: World) -> None:
    report = await world.prove()
    assert report.ok, report.failed
    assert report.rows["transfers"] * 2 == report.rows["entries"]
    assert report.rows["accounts"] == 8
    assert len(report.checks) >= 20


async def test_an_empty_ledger_proves(fresh_sessionmaker: SessionMaker) -> None:
    report = await prove(fresh_sessionmaker, statements={"hdfc": [], "axis": []})
    assert report.ok, report.failed


ALICES_LAST = "account_id = :alice AND seq = (SELECT max(seq) FROM entries WHERE account_id = :alice)"
CHAI = "(SELECT id FROM transfers WHERE note = 'chai')"

TAMPERINGS = [
    pytest.param("UPDATE accounts SET balance = balance + 1 WHERE id = :alice", "cached balance", id="balance raised"),
    pytest.param("UPDATE accounts SET balance = balance + 1 WHERE id = :alice", "together are zero", id="money made"),
    pytest.param("UPDATE accounts SET seq = seq + 1 WHERE id = :alice", "as many entries", id="counter raised"),
    pytest.param("UPDATE accounts SET held = 0 WHERE id = :bob", "held amount", id="hold forgotten"),
    pytest.param("UPDATE holds SET amount = amount - 1 WHERE status = 'active'", "held amount", id="hold lowered"),
    pytest.param(f"DELETE FROM entries WHERE {ALICES_LAST}", "as many entries", id="last entry deleted"),
    pytest.param("DELETE FROM entries WHERE account_id = :alice AND seq = 2", "without a gap", id="entry deleted"),
    pytest.param(f"DELETE FROM entries WHERE {ALICES_LAST}", "two entries", id="half a transfer"),
    pytest.param(
        "UPDATE entries SET amount = amount + 1 WHERE account_id = :alice AND seq = 3",
        "running balance",
        id="entry amount edited",
    ),
    pytest.param(
        "UPDATE entries SET balance_after = balance_after + 1 WHERE account_id = :alice AND seq = 3",
        "running balance",
        id="running balance edited",
    ),
    pytest.param(
        f"UPDATE transfers SET amount = amount + 1 WHERE id = {CHAI}", "says what its transfer", id="amount edited"
    ),
    pytest.param(f"DELETE FROM transfers WHERE id = {CHAI}", "belongs to an account", id="transfer deleted"),
    pytest.param(
        f"UPDATE transfers SET debit_account_id = credit_account_id, credit_account_id = debit_account_id"
        f" WHERE id = {CHAI}",
        "two entries",
        id="accounts swapped",
    ),
    pytest.param(
        "INSERT INTO entries SELECT account_id, seq + 1, gen_random_uuid(), direction, amount, balance_after,"
        f" created_at FROM entries WHERE {ALICES_LAST}",
        "as many entries",
        id="entry inserted",
    ),
    pytest.param("UPDATE transfers SET amount = 50 WHERE kind = 'payment'", "reverses", id="refunded too much"),
    pytest.param("UPDATE reversed_totals SET reversed = 101", "total of reversals", id="total of refunds raised"),
    pytest.param("UPDATE reversed_totals SET amount = 9999", "total of reversals", id="refundable amount raised"),
    pytest.param("DELETE FROM reversed_totals", "total of reversals", id="total of refunds deleted"),
    pytest.param(
        "UPDATE transfers SET reverses = NULL WHERE kind = 'refund'", "total of reversals", id="refund made a gift"
    ),
    pytest.param(
        "UPDATE transfers SET kind = 'onramp' WHERE note = 'chai'", "kind onramp has one", id="on-ramp made up"
    ),
    pytest.param(
        "UPDATE on_ramps SET amount = 5001 WHERE status = 'success'", "successful on-ramp", id="on-ramp amount"
    ),
    pytest.param("UPDATE on_ramps SET bank = 'axis' WHERE status = 'success'", "successful on-ramp", id="on-ramp bank"),
    pytest.param(
        "UPDATE on_ramps SET status = 'failure', transfer_id = NULL WHERE status = 'success'",
        "kind onramp has one",
        id="on-ramp undone",
    ),
    pytest.param(
        "UPDATE withdrawals SET bank = 'axis' WHERE status = 'succeeded'", "paid withdrawal", id="payout bank"
    ),
    pytest.param("DELETE FROM withdrawals WHERE status = 'succeeded'", "kind payout has one", id="payout orphaned"),
    pytest.param("DELETE FROM withdrawals WHERE status = 'reversed'", "payout_reversal one", id="reversal orphaned"),
    pytest.param(
        "UPDATE withdrawals SET reversal_transfer_id = transfer_id WHERE status = 'reversed'",
        "reversed withdrawal",
        id="reversal mixed up",
    ),
    pytest.param("UPDATE withdrawals SET amount = 61 WHERE status = 'queued'", "withdrawal's hold", id="hold differs"),
    pytest.param(
        "UPDATE holds SET status = 'released', transfer_id = NULL WHERE status = 'captured'",
        "withdrawal's hold",
        id="captured hold released",
    ),
    pytest.param("UPDATE holds SET amount = 999 WHERE amount = 1000", "captured hold", id="captured amount"),
    pytest.param("UPDATE transfers SET note = 'tea' WHERE note = 'chai'", "seal", id="note edited"),
    pytest.param(
        "UPDATE entries SET created_at = created_at + interval '1 day' WHERE account_id = :alice AND seq = 1",
        "seal",
        id="history moved",
    ),
    pytest.param("UPDATE ledger_seals SET hash = repeat('a', 64)", "seal", id="seal edited"),
    pytest.param("DELETE FROM ledger_seal_ranges WHERE account_id = :bob", "seal", id="seal narrowed"),
]


@pytest.mark.parametrize(("statement", "broken"), TAMPERINGS)
async def test_an_edit_behind_the_ledgers_back_is_found(world: World, statement: str, broken: str) -> None:
    await world.tamper(statement)
    report = await world.prove()
    assert broken in failed_names(report)
    assert all(len(check.offenders) <= MAX_OFFENDERS for check in report.failed)


async def test_small_chunks_find_the_same_and_tell_their_progress(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.proof.prove.CHUNK_ROWS", 3)
    told: list[tuple[str, int, int]] = []
    report = await prove(world.sessionmaker, progress=lambda *step: told.append(step))
    assert report.ok, report.failed
    entries = [done for what, done, _ in told if what == "entries"]
    assert len(entries) > 3
    assert entries[-1] == report.rows["entries"]
    await world.tamper("UPDATE entries SET balance_after = balance_after + 1 WHERE account_id = :alice AND seq = 4")
    (running,) = [check for check in (await prove(world.sessionmaker)).failed if "running" in check.name]
    assert [row["seq"] for row in running.offenders] == [4, 5]


async def test_no_chunk_is_looked_for_in_a_whole_table(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.proof.prove.CHUNK_ROWS", 1)
    scans = text("SELECT sum(seq_scan)::bigint FROM pg_stat_user_tables WHERE relname IN ('entries', 'transfers')")

    async def whole_tables_read() -> int:
        async with world.sessionmaker() as session:
            await session.execute(text("SELECT pg_stat_force_next_flush()"))
        async with world.sessionmaker() as session:
            return int(await session.scalar(scans) or 0)

    before = await whole_tables_read()
    assert (await world.prove()).ok
    assert await whole_tables_read() == before


async def test_what_a_chunk_reads_grows_with_its_rows_and_not_with_their_square(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def send(count: int) -> None:
        transfers = [Transfer(new_id(), "p2p", world.alice.id, world.bob.id, 1) for _ in range(count)]
        async with world.sessionmaker.begin() as session:
            await post(session, transfers)

    await send(2000)
    async with world.sessionmaker.begin() as session:
        # What Postgres knows of the tables is older than the last chunk: it expects no row of it.
        await session.execute(text("ANALYZE transfers, entries, accounts"))
    monkeypatch.setattr("shared.proof.prove.CHUNK_ROWS", 500)
    await send(1000)
    read = text("SELECT sum(idx_tup_read)::bigint FROM pg_stat_user_indexes WHERE relname IN ('entries', 'transfers')")

    async def lines_read() -> int:
        async with world.sessionmaker() as session:
            await session.execute(text("SELECT pg_stat_force_next_flush()"))
        async with world.sessionmaker() as session:
            return int(await session.scalar(read) or 0)

    before = await lines_read()
    assert (await world.prove()).ok
    assert await lines_read() - before < 100 * 3000


async def test_at_most_twenty_offenders_are_named(world: World) -> None:
    async with world.sessionmaker.begin() as session:
        for _ in range(30):
            await post_one(session, Transfer(new_id(), "p2p", world.alice.id, world.bob.id, 1))
    await world.tamper("UPDATE entries SET balance_after = 7 WHERE account_id = :bob")
    (running,) = [check for check in (await world.prove()).failed if "running" in check.name]
    assert len(running.offenders) == MAX_OFFENDERS


async def test_a_line_that_only_one_book_has_is_named(world: World) -> None:
    extra = await world.prove([*world.moves, ("unknown", "CREDIT", 900)])
    assert {check.name for check in extra.failed} == {
        "hdfc: our settlement account equals the bank's book, line by line",
        "hdfc: the balance at the bank is ours",
    }
    assert extra.failed[0].offenders[0]["reference"] == "unknown"
    less = await world.prove(world.moves[:1])
    assert {row["kind"] for row in less.failed[0].offenders} == {"missing_at_bank"}
    other_bank = await prove(world.sessionmaker, statements={"axis": bank_statement(world.moves)})
    assert not other_bank.ok


async def test_a_statement_that_does_not_add_up_is_named(world: World) -> None:
    items = bank_statement(world.moves)
    items[1] = items[1].model_copy(update={"balance_after": items[1].balance_after + 1})
    report = await prove(world.sessionmaker, statements={"hdfc": items})
    assert "adds up" in failed_names(report)
    without_the_first = await prove(world.sessionmaker, statements={"hdfc": bank_statement(world.moves)[1:]})
    assert "adds up" in failed_names(without_the_first)


async def test_lines_of_running_payments_are_listed_and_do_not_fail_the_proof(world: World) -> None:
    async with world.sessionmaker.begin() as session:
        pending = await create_on_ramp(session, world.alice, 800, status="pending")
        unknown = await create_withdrawal(session, world.alice, 90, status="unknown")
    moves: list[BankMove] = [*world.moves, (str(pending.id), "CREDIT", 800), (str(unknown.id), "DEBIT", 90)]
    report = await world.prove(moves)
    assert report.ok, report.failed
    assert {line.reference for line in report.explained["hdfc"]} == {str(pending.id), str(unknown.id)}
    twice = await world.prove([*moves, (str(unknown.id), "DEBIT", 90)])
    assert not twice.ok


async def test_a_queued_withdrawal_explains_nothing(world: World) -> None:
    async with world.sessionmaker.begin() as session:
        queued = await create_withdrawal(session, world.alice, 90, status="queued")
    assert not (await world.prove([*world.moves, (str(queued.id), "DEBIT", 90)])).ok


async def test_a_fetched_statement_may_be_newer_than_the_snapshot(world: World) -> None:
    async def fetch() -> dict[str, list[StatementItem]]:
        async with world.sessionmaker.begin() as session:  # happens while the snapshot stands
            later = await create_on_ramp(session, world.alice, 10)
        before = bank_statement(world.moves)
        (new,) = bank_statement([(str(later.id), "CREDIT", 10)])
        total = before[-1].balance_after + 10
        return {"hdfc": [*before, new.model_copy(update={"at": clock.now(), "balance_after": total})]}

    report = await prove(world.sessionmaker, statements=fetch)
    assert report.ok, report.failed


async def test_proving_writes_nothing_and_leaves_the_session_pool_usable(world: World) -> None:
    await world.prove()
    async with world.sessionmaker.begin() as session:
        await post_one(session, Transfer(new_id(), "adjustment", system_accounts.FUNDING, system_accounts.FEES, 1))
    assert (await world.prove()).ok
