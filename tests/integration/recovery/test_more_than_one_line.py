"""A bank that has more under a reference than one payment: each line is booked once, and no owner pays twice."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Protocol
from uuid import UUID

import pytest

from services.dummy_bank import book
from shared.ids import new_id
from shared.operators.suspense import suspense
from shared.recovery import commands
from shared.recovery.settling import BankReport, Result
from tests.integration.recovery.test_debit_of_the_bank import Batua, batua  # noqa: F401 - a fixture
from tests.integration.recovery.test_settling import STRANGER, Disaster, disaster  # noqa: F401 - a fixture
from tests.support.bank_flows import create_withdrawal
from tests.support.deadlines import deadline
from tests.support.withdrawal_world import owner_of

ONE, OTHER = 100_00, 70_00


class Post(Protocol):
    """Books a line at the bank, as its own people do by hand."""

    def __call__(self, reference: UUID, amount: int, *, comes_in: bool = False) -> None: ...


@pytest.fixture
def post(tmp_path: Path) -> Post:
    def post(reference: UUID, amount: int, *, comes_in: bool = False) -> None:
        sides = (book.OUTSIDE, book.NODAL) if comes_in else (book.NODAL, book.OUTSIDE)
        with closing(sqlite3.connect(tmp_path / "bank.sqlite", timeout=deadline())) as bank, bank:
            bank.row_factory = sqlite3.Row
            book.post(bank, "hdfc", *sides, amount=amount, reference=str(reference), utr="N000000000007")

    return post


def said(report: BankReport) -> list[tuple[str, int, Result]]:
    return [(one.direction, one.amount, one.result) for one in report.settled]


async def is_finished(disaster: Disaster) -> bool:  # noqa: F811
    """Nothing is left, a repeat books nothing, and the recovery can be finished."""
    money, audited = await disaster.suspense(), await disaster.audited()
    await disaster.settle()
    assert (await disaster.suspense(), await disaster.audited()) == (money, audited)
    assert await disaster.unsettled() == []
    async with disaster.world.sessionmaker.begin() as session:
        await commands.finish(session, [])
    return await disaster.books_equal_the_banks()


async def test_what_leaves_under_a_reference_that_is_parked_is_parked_too(disaster: Disaster) -> None:  # noqa: F811
    disaster.world.bank.faults(idempotency=False)
    reference = disaster.paid_out(STRANGER, ONE)
    assert said(await disaster.settle()) == [("DEBIT", ONE, Result.PARKED)]
    for amount in (ONE, OTHER):
        disaster.paid_out(STRANGER, amount, reference)
    assert said(await disaster.settle()) == [("DEBIT", ONE, Result.PARKED), ("DEBIT", OTHER, Result.PARKED)]
    assert await disaster.suspense() == -2 * ONE - OTHER
    assert [facts["amount"] for facts in await disaster.audited()] == [ONE, ONE, OTHER]
    assert await is_finished(disaster)


async def test_what_leaves_again_under_a_paid_withdrawal_is_parked_with_its_owner(
    disaster: Disaster,  # noqa: F811
) -> None:
    disaster.world.bank.faults(idempotency=False)
    wallet = await disaster.world.person()
    reference = disaster.paid_out(owner_of(wallet), ONE)
    assert said(await disaster.settle()) == [("DEBIT", ONE, Result.DEBITED)]
    disaster.paid_out(owner_of(wallet), ONE, reference)
    assert said(await disaster.settle()) == [("DEBIT", ONE, Result.PARKED)]
    assert await disaster.world.money(wallet) == (1_000_00 - ONE, 0)
    async with disaster.world.sessionmaker() as session:
        (item,) = (await suspense(session, limit=10)).items
    assert (item.direction, item.amount, item.wallet_id) == ("DEBIT", ONE, wallet.handle)
    assert await is_finished(disaster)


async def test_two_runs_at_once_take_what_left_twice_from_its_owner_once(disaster: Disaster) -> None:  # noqa: F811
    disaster.world.bank.faults(idempotency=False)
    wallet = await disaster.world.person()
    reference = disaster.paid_out(owner_of(wallet), ONE)
    disaster.paid_out(owner_of(wallet), ONE, reference)
    reports = await asyncio.gather(disaster.settle(), disaster.settle())
    first, second = sorted(reports, key=lambda report: -len(report.settled))
    assert said(first) == [("DEBIT", ONE, Result.DEBITED), ("DEBIT", ONE, Result.PARKED)]
    assert said(second) in ([], [("DEBIT", ONE, Result.KNOWN)])
    assert await disaster.world.money(wallet) == (1_000_00 - ONE, 0)
    assert await disaster.suspense() == -ONE
    assert await is_finished(disaster)


async def test_a_withdrawal_in_the_queue_explains_one_debit(disaster: Disaster) -> None:  # noqa: F811
    """The bank gives no answer about it; the worker asks again."""
    disaster.world.bank.faults(idempotency=False)
    wallet = await disaster.world.person()
    sent = await disaster.world.ask(wallet, ONE)
    async with disaster.world.sessionmaker.begin() as session:
        await commands.begin(session, restored_to=disaster.settling.restored_to)
    for _ in range(2):
        disaster.paid_out(owner_of(wallet), ONE, sent)
    disaster.world.bank.faults(error_rate=1.0)
    report = await disaster.settle(park_unanswered=True)
    assert said(report) == [("DEBIT", ONE, Result.ASKED_LATER), ("DEBIT", ONE, Result.PARKED)]
    assert await disaster.world.money(wallet) == (1_000_00, ONE)
    assert await disaster.suspense() == -ONE
    disaster.world.bank.faults()
    assert await is_finished(disaster)
    await disaster.world.work_until_status([sent], "succeeded")
    assert await disaster.world.money(wallet) == (1_000_00 - ONE, 0)
    assert await disaster.books_equal_the_banks()


async def test_another_amount_than_that_of_a_withdrawal_is_not_taken_for_it(
    disaster: Disaster,  # noqa: F811
) -> None:
    wallet = await disaster.world.person()
    sent = await disaster.world.ask(wallet, ONE)
    disaster.paid_out(owner_of(wallet), OTHER, sent)
    assert said(await disaster.settle()) == [("DEBIT", OTHER, Result.PARKED)]
    assert await disaster.world.money(wallet) == (1_000_00, ONE)
    assert (await disaster.world.row(sent)).status == "queued"
    assert await is_finished(disaster)


async def test_what_left_for_a_payout_that_failed_is_parked_without_an_owner(
    disaster: Disaster,  # noqa: F811
    post: Post,
) -> None:
    disaster.world.bank.faults(refuse_rate=1.0)
    wallet, reference = await disaster.world.person(), new_id()
    disaster.world.bank.pay(str(reference), ONE, user_ref=str(owner_of(wallet)))
    post(reference, ONE)
    assert said(await disaster.settle()) == [("DEBIT", ONE, Result.PARKED)]
    async with disaster.world.sessionmaker() as session:
        (item,) = (await suspense(session, limit=10)).items
    assert (item.amount, item.wallet_id) == (ONE, None)
    assert await disaster.world.money(wallet) == (1_000_00, 0)
    assert await is_finished(disaster)


async def test_what_comes_in_again_under_a_paid_on_ramp_is_parked(disaster: Disaster, post: Post) -> None:  # noqa: F811
    wallet = await disaster.world.person()
    reference = disaster.paid_in(owner_of(wallet), ONE)
    await disaster.settle()
    for _ in range(2):
        post(reference, ONE, comes_in=True)
    assert await disaster.unsettled() == [str(reference)]
    assert said(await disaster.settle()) == [("CREDIT", ONE, Result.PARKED), ("CREDIT", ONE, Result.PARKED)]
    assert await disaster.world.money(wallet) == (1_000_00 + ONE, 0)
    assert await disaster.suspense() == 2 * ONE
    post(reference, ONE, comes_in=True)
    assert await disaster.unsettled() == [str(reference)], "one of three is not parked"
    await disaster.settle()
    assert await is_finished(disaster)


async def test_what_came_in_is_not_said_to_be_parked_before_it_is(disaster: Disaster) -> None:  # noqa: F811
    first = disaster.paid_in(STRANGER, ONE)
    disaster.paid_out(STRANGER, OTHER)
    report = await disaster.settling.settle(1)
    assert (said(report), report.left, report.more) == ([("CREDIT", ONE, Result.LEFT)], [str(first)], 1)
    assert await disaster.suspense() == 0
    assert said(await disaster.settle()) == [("CREDIT", ONE, Result.PARKED), ("DEBIT", OTHER, Result.PARKED)]
    disaster.paid_out(STRANGER, OTHER)
    assert said(await disaster.settling.settle(1)) == [("CREDIT", ONE, Result.PARKED)]


async def test_another_amount_than_ours_waits_until_the_bank_has_corrected_its_line(
    disaster: Disaster,  # noqa: F811
    post: Post,
    batua: Batua,  # noqa: F811
) -> None:
    """Nothing is booked by a guess. What to do, `finish` says and the runbook; payouts are held back until then."""
    wallet = await disaster.world.person()
    async with disaster.world.sessionmaker.begin() as session:
        withdrawal = await create_withdrawal(session, wallet, ONE, status="succeeded")
    reference = disaster.paid_out(owner_of(wallet), OTHER, withdrawal.id)
    settled = await batua("recovery", "settle")
    assert (settled.exit_code, "1 amount differs" in settled.output) == (1, True), settled.output
    refused = await batua("recovery", "finish")
    assert refused.exit_code == 1
    assert f"hdfc  {reference}  DEBIT ₹70.00, and our book has ₹100.00" in refused.output
    assert "docs/runbooks/books-differ.md" in refused.output
    assert await disaster.suspense() == 0

    post(reference, OTHER, comes_in=True)
    post(reference, ONE)
    assert said(await disaster.settle()) == [("DEBIT", OTHER, Result.PARKED)]
    assert await disaster.world.money(wallet) == (1_000_00 - ONE, 0)
    assert await disaster.suspense() == 0
    assert await is_finished(disaster)
