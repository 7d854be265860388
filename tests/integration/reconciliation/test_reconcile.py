"""Differences are stored once, unmatched credits are parked once, and differences that end are resolved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from shared import clock
from shared.banks.errors import Refused
from shared.banks.messages import StatementItem
from shared.banks.statements import TOO_LONG
from shared.db.engine import SessionMaker
from shared.ledger import system_accounts
from shared.models import Account, OnRamp, ReconciliationFinding
from shared.models.on_ramp import OnRampStatus
from shared.proof.prove import prove
from shared.reconciliation.reconcile import Report, reconcile_bank
from tests.support.bank_flows import BankMove, bank_statement, create_on_ramp, create_withdrawal
from tests.support.factories import create_user

HOUR = timedelta(hours=1)


@dataclass(slots=True)
class Bank:
    """A bank whose statement the test writes."""

    items: Sequence[StatementItem]

    async def statement(self, start: datetime, end: datetime) -> list[StatementItem]:
        return [item for item in self.items if start <= item.at < end]


@dataclass(slots=True)
class BankWithShortAnswers(Bank):
    """It refuses a range with more than one line."""

    async def statement(self, start: datetime, end: datetime) -> list[StatementItem]:
        found = await Bank.statement(self, start, end)
        if len(found) > 1:
            raise Refused("hdfc", TOO_LONG, "ask for a shorter range")
        return found


@dataclass(slots=True)
class Desk:
    """Reconciles the last day, with or without the grace for new lines."""

    sessionmaker: SessionMaker

    async def run(
        self, moves: list[BankMove], *, age: timedelta = HOUR, grace: timedelta = timedelta(minutes=10)
    ) -> Report:
        now = clock.now()
        items = bank_statement(moves, start=now - age)
        since, until = now - timedelta(days=1), now + timedelta(seconds=1)
        with clock.reading(lambda: now + timedelta(seconds=1)):
            return await reconcile_bank(self.sessionmaker, Bank(items), "hdfc", since=since, until=until, grace=grace)

    async def findings(self) -> dict[tuple[str, str], ReconciliationFinding]:
        async with self.sessionmaker() as session:
            rows = (await session.scalars(select(ReconciliationFinding))).all()
        return {(row.kind, row.reference): row for row in rows}

    async def suspense(self) -> int:
        async with self.sessionmaker() as session:
            return (await session.get_one(Account, system_accounts.SUSPENSE)).balance

    async def agrees_with(self, moves: list[BankMove]) -> bool:
        return (await prove(self.sessionmaker, statements={"hdfc": bank_statement(moves)})).ok


@pytest.fixture
def desk(fresh_sessionmaker: SessionMaker) -> Desk:
    return Desk(fresh_sessionmaker)


async def wallet(desk: Desk, balance: int = 1_000) -> Account:
    async with desk.sessionmaker.begin() as session:
        return await create_user(session, balance=balance)


async def on_ramp(desk: Desk, account: Account, amount: int, status: str = "success") -> OnRamp:
    """Move everything an hour into the past."""
    now = clock.now() - HOUR
    with clock.reading(lambda: now):
        async with desk.sessionmaker.begin() as session:
            return await create_on_ramp(session, account, amount, status=status)


async def test_equal_books_file_nothing(desk: Desk) -> None:
    added = await on_ramp(desk, await wallet(desk), 500)
    report = await desk.run([(str(added.id), "CREDIT", 500)])
    assert report.ok
    assert (report.matched, report.filed, await desk.findings()) == (1, 0, {})


async def test_an_unmatched_credit_is_parked_once_and_the_books_stay_equal(desk: Desk) -> None:
    moves: list[BankMove] = [("stranger", "CREDIT", 900)]
    assert not await desk.agrees_with(moves)
    first, second = await desk.run(moves), await desk.run(moves)
    assert (first.filed, first.parked) == (1, 900)
    assert (second.filed, second.parked, second.resolved, second.ok) == (0, 0, 0, False)
    assert await desk.suspense() == 900
    assert await desk.agrees_with(moves)
    filed = (await desk.findings())["unmatched_credit", "stranger"]
    assert (filed.our_amount, filed.bank_amount, filed.resolved_at) == (None, 900, None)
    assert filed.transfer_id is not None


async def test_two_credits_under_one_reference_are_both_parked(desk: Desk) -> None:
    moves: list[BankMove] = [("stranger", "CREDIT", 900), ("stranger", "CREDIT", 900)]
    await desk.run(moves[:1])
    await desk.run(moves)
    await desk.run(moves)
    assert await desk.suspense() == 1_800
    assert await desk.agrees_with(moves)
    assert (await desk.findings())["unmatched_credit", "stranger"].bank_amount == 1_800


async def test_a_parked_credit_that_was_booked_since_leaves_suspense(desk: Desk) -> None:
    account = await wallet(desk)
    given_up = await on_ramp(desk, account, 500, status="failure")
    moves: list[BankMove] = [(str(given_up.id), "CREDIT", 500)]
    assert (await desk.run(moves)).parked == 500

    # The bank's late success is credited after all, under the same on-ramp.
    async with desk.sessionmaker.begin() as session:
        late = await create_on_ramp(session, account, 500)
        transfer_id, late.transfer_id, late.status = late.transfer_id, None, OnRampStatus.FAILURE
        await session.flush()
        row = await session.get_one(OnRamp, given_up.id)
        row.status, row.transfer_id, row.is_late_success = OnRampStatus.SUCCESS, transfer_id, True
    assert await desk.agrees_with(moves)  # listed as parked and booked since

    report = await desk.run(moves)
    assert (report.ok, report.unparked, report.resolved) == (True, 500, 1)
    assert await desk.suspense() == 0
    assert await desk.agrees_with(moves)
    assert (await desk.findings())["unmatched_credit", str(given_up.id)].resolved_at is not None


async def test_a_parked_credit_the_bank_gave_back_leaves_suspense(desk: Desk) -> None:
    await desk.run([("stranger", "CREDIT", 900)])
    moves: list[BankMove] = [("stranger", "CREDIT", 900), ("stranger", "DEBIT", 900)]
    assert (await desk.run(moves)).unparked == 900
    assert await desk.suspense() == 0
    assert await desk.agrees_with(moves)


async def test_a_finding_that_comes_back_is_opened_again(desk: Desk) -> None:
    back_and_forth: list[BankMove] = [("stranger", "CREDIT", 900), ("stranger", "DEBIT", 900)]
    await desk.run(back_and_forth[:1])
    await desk.run(back_and_forth)
    report = await desk.run(back_and_forth[:1])
    assert (report.filed, report.parked) == (1, 900)
    assert (await desk.findings())["unmatched_credit", "stranger"].resolved_at is None


async def test_what_the_bank_lacks_or_has_too_much_of_is_filed_and_nothing_is_posted(desk: Desk) -> None:
    account = await wallet(desk)
    lost = await on_ramp(desk, account, 500)
    other = await on_ramp(desk, account, 600)
    moves: list[BankMove] = [(str(other.id), "CREDIT", 601), ("thief", "DEBIT", 70)]
    report = await desk.run(moves)
    assert {(found.kind, found.reference) for found in report.differences} == {
        ("missing_at_bank", str(lost.id)),
        ("amount_differs", str(other.id)),
        ("missing_here", "thief"),
    }
    assert (report.filed, report.parked, await desk.suspense()) == (3, 0, 0)
    assert (await desk.run(moves)).filed == 0
    cleared = await desk.run([(str(other.id), "CREDIT", 601), ("thief", "DEBIT", 70), (str(lost.id), "CREDIT", 500)])
    assert cleared.resolved == 1


async def test_new_lines_and_running_payments_are_not_differences(desk: Desk) -> None:
    account = await wallet(desk)
    pending = await on_ramp(desk, account, 500, status="pending")
    async with desk.sessionmaker.begin() as session:
        unknown = await create_withdrawal(session, account, 90, status="unknown")
    old: list[BankMove] = [(str(pending.id), "CREDIT", 500), (str(unknown.id), "DEBIT", 90)]
    assert (await desk.run(old)).ok
    young: list[BankMove] = [("stranger", "CREDIT", 900)]
    assert (await desk.run(young, age=timedelta(minutes=5))).ok
    assert not (await desk.run(young, age=timedelta(minutes=15))).ok


async def test_a_flow_that_began_before_the_range_finds_its_bank_line(desk: Desk) -> None:
    account = await wallet(desk)
    long_ago = clock.now() - timedelta(days=30)
    with clock.reading(lambda: long_ago):
        async with desk.sessionmaker.begin() as session:
            begun = await create_on_ramp(session, account, 500, status="pending")
    settled = await on_ramp(desk, account, 500)
    async with desk.sessionmaker.begin() as session:
        donor, row = await session.get_one(OnRamp, settled.id), await session.get_one(OnRamp, begun.id)
        transfer_id, donor.transfer_id, donor.status = donor.transfer_id, None, OnRampStatus.FAILURE
        await session.flush()
        row.status, row.transfer_id, row.settled_at = OnRampStatus.SUCCESS, transfer_id, clock.now()
    report = await desk.run([(str(begun.id), "CREDIT", 500)], age=timedelta(days=29))
    assert report.ok, report.differences


async def test_a_bank_that_gives_no_statement_changes_nothing(desk: Desk) -> None:
    class Down:
        async def statement(self, start: datetime, end: datetime) -> list[StatementItem]:
            raise ConnectionRefusedError

    with pytest.raises(ConnectionRefusedError):
        await reconcile_bank(desk.sessionmaker, Down(), "hdfc", since=clock.now() - HOUR, until=clock.now())
    assert await desk.findings() == {}


async def test_a_bank_that_refuses_long_statements_is_asked_for_parts(desk: Desk) -> None:
    """Else no credit would be parked, and a recovery after a restore could not be finished."""
    now = clock.now()
    items = bank_statement([(f"stray-{number}", "CREDIT", 100) for number in range(5)], start=now - HOUR)
    bank = BankWithShortAnswers(items)
    report = await reconcile_bank(desk.sessionmaker, bank, "hdfc", since=now - 2 * HOUR, until=now)
    assert (report.bank_lines, report.parked) == (5, 500)
    assert await desk.suspense() == 500
