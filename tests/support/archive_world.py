"""A ledger with a past: people and a shop whose oldest entries were sealed more than a year ago, in several seals."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from sqlalchemy import func, select, text

from shared import clock
from shared.banks.messages import StatementItem
from shared.db.engine import SessionMaker
from shared.ids import new_id
from shared.inflow.commands import roll_up_all
from shared.ledger.post import post_one
from shared.ledger.rules import Transfer, TransferKind
from shared.models import Account, Entry
from shared.proof import runs
from shared.proof.archive import KEPT_FOR, Archived, archive, require_allowed
from shared.proof.archive_check import ArchiveReport, check
from shared.proof.prove import ProofReport, begin_snapshot, prove
from shared.proof.quick import Beginning, QuickReport, prove_new
from shared.proof.seals import seal
from tests.support.bank_flows import BankMove, bank_statement, create_on_ramp, create_withdrawal
from tests.support.factories import create_merchant, create_user

LONG_AGO = timedelta(days=500)
"""So old is the oldest entry."""


@contextmanager
def long_ago(age: timedelta = LONG_AGO) -> Iterator[None]:
    """Let the clock begin so long ago, and move on by a second whenever it is read."""
    start, seconds = clock.now() - age, itertools.count()
    with clock.reading(lambda: start + timedelta(seconds=next(seconds))):
        yield


@dataclass
class ArchiveWorld:
    """Alice, Bob, Carol and a shop. Long ago, Alice paid the shop `payment`, and Carol got all that she has."""

    sessionmaker: SessionMaker
    directory: Path
    alice: Account
    bob: Account
    carol: Account
    shop: Account
    payment: UUID
    moves: list[BankMove]

    @property
    def statements(self) -> dict[str, list[StatementItem]]:
        """What the banks say, line by line."""
        return {"hdfc": bank_statement(self.moves), "axis": []}

    async def move(
        self, kind: TransferKind, debited: Account, credited: Account, amount: int, reverses: UUID | None = None
    ) -> UUID:
        """Post one transfer of its own."""
        transfer = Transfer(new_id(), kind, debited.id, credited.id, amount, reverses=reverses)
        async with self.sessionmaker.begin() as session:
            await post_one(session, transfer)
        return transfer.id

    async def seal(self) -> None:
        """Roll up the shops and seal everything."""
        await roll_up_all(self.sessionmaker)
        is_more = True
        while is_more:
            async with self.sessionmaker.begin() as session:
                is_more = await seal(session) is not None

    async def prove(self) -> ProofReport:
        """A whole proof with the banks, recorded."""
        run = await runs.begin(self.sessionmaker, "whole")
        report = await prove(self.sessionmaker, statements=self.statements)
        await runs.finish_whole(self.sessionmaker, run, report)
        return report

    async def prove_new(self) -> QuickReport:
        """A quick proof of every transfer."""
        return await prove_new(self.sessionmaker, Beginning(), rest_share=0)

    async def archive(self, before: datetime | None = None) -> list[Archived]:
        """Archive what may be archived by now, or only what was sealed before."""
        before = before or clock.now() - KEPT_FOR
        async with self.sessionmaker() as session:
            await require_allowed(session, before)
        self.directory.mkdir(exist_ok=True)
        return [each async for each in archive(self.sessionmaker, self.directory, before=before)]

    async def check(self) -> ArchiveReport:
        """Look at the files."""
        async with self.sessionmaker() as session:
            await begin_snapshot(session)
            return await check(session, self.directory)

    async def require_right(self) -> None:
        """The books and the files hold."""
        report = await self.prove()
        assert report.ok, report.failed
        quick = await self.prove_new()
        assert quick.proof.ok, quick.proof.failed
        files = await self.check()
        assert files.ok, files.problems

    async def tamper(self, statement: str) -> None:
        """Edit behind the ledger's back, as a superuser whom no trigger and no foreign key stops."""
        accounts = {"alice": self.alice.id, "bob": self.bob.id, "carol": self.carol.id, "shop": self.shop.id}
        async with self.sessionmaker.begin() as session:
            await session.execute(text("SET LOCAL session_replication_role = replica"))
            result = await session.execute(text(statement), accounts | {"payment": self.payment})
            assert result.rowcount > 0, f"changed nothing: {statement}"  # type: ignore[attr-defined]  # a DML result

    async def entries(self, account: Account) -> list[int]:
        """The numbers of the entries that are in the table."""
        statement = select(Entry.seq).where(Entry.account_id == account.id).order_by(Entry.seq)
        async with self.sessionmaker() as session:
            return list(await session.scalars(statement))

    async def count(self) -> int:
        """How many entries are in the table."""
        async with self.sessionmaker() as session:
            return await session.scalar(select(func.count()).select_from(Entry)) or 0


async def old_world(sessionmaker: SessionMaker, directory: Path) -> ArchiveWorld:
    """Two seals of long ago, and one of today whose entries follow theirs; a whole proof that has passed."""
    with long_ago():
        async with sessionmaker.begin() as session:
            alice = await create_user(session, first_name="Alice", balance=10_000)
            bob = await create_user(session, first_name="Bob", balance=500)
            carol = await create_user(session, first_name="Carol", balance=900)
            shop = await create_merchant(session)
            added = await create_on_ramp(session, alice, 5_000)
            paid = Transfer(new_id(), "payment", alice.id, shop.id, 300, note='two\nlines | "quoted" ₹')
            await post_one(session, paid)
            sent = await create_withdrawal(session, alice, 1_000)
        moves: list[BankMove] = [(str(added.id), "CREDIT", 5_000), (str(sent.id), "DEBIT", 1_000)]
        world = ArchiveWorld(sessionmaker, directory, alice, bob, carol, shop, paid.id, moves)
        await world.seal()
    with long_ago(LONG_AGO - timedelta(days=7)):
        await world.move("p2p", alice, bob, 70)
        await world.move("payment", bob, shop, 40)
        await world.move("payment", alice, shop, 25)
        await world.move("refund", shop, alice, 100, reverses=paid.id)
        await world.seal()
    await world.move("p2p", alice, bob, 1)
    await world.move("payment", bob, shop, 30)
    await world.seal()
    report = await world.prove()
    assert report.ok, report.failed
    return world
