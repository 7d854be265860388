"""A debit that the bank made by itself, such as a fee: what it stops, and how the runbook has it booked."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select
from typer.testing import Result

from infra.local.layout import CHECKOUT
from services.dummy_bank import book
from shared import clock
from shared.banks.table import BANKS
from shared.clock import rfc3339
from shared.ledger import system_accounts
from shared.models import Account, ReconciliationFinding
from tests.integration.operators.conftest import Operator, administrator, asha, ravi, run_batua  # noqa: F401 - fixtures
from tests.integration.recovery.test_command import banks_at
from tests.support.deadlines import deadline
from tests.support.simulated_bank import Running
from tests.support.withdrawal_world import PATIENT, World, owner_of

Batua = Callable[..., Awaitable[Result]]
FEE, OWED = "fee-of-November", "paid-out-in-October"
SOON_SENT = PATIENT.model_copy(update={"not_found_grace_seconds": 0.1, "bank_timeout_seconds": deadline(1)})
"""A payout that waited in the queue is asked about twice before it is sent; not half a minute apart here.

Nor as far apart as PATIENT lets a call last: that is half of what the test waits, and more where the machine was busier
when the module was loaded.
"""
_STEP = re.compile(r"^\d\. `batua ([^`]+)`", re.MULTILINE)


@pytest.fixture
def batua(
    world_alone: World,
    running_bank: Running,
    fresh_database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Batua:
    """The command, as the schema's owner runs it."""
    banks_at(monkeypatch, dict.fromkeys(BANKS, running_bank.url))
    return lambda *arguments: run_batua(fresh_database_url, tmp_path, *arguments)


def section(title: str, **named: str) -> list[list[str]]:
    """The commands of the numbered lists below this title of the runbook, with these values in place of `<name>`."""
    page = (CHECKOUT / "docs" / "runbooks" / "books-differ.md").read_text(encoding="utf-8")
    (below,) = [part for part in page.split("\n## ") if part.startswith(f"{title}\n")]
    found = [step.split() for step in _STEP.findall(below)]
    assert found
    return [[named.get(word.strip("<>"), word) if word.startswith("<") else word for word in step] for step in found]


def steps(at: str) -> list[list[str]]:
    """How the schema's owner has a debit booked."""
    return section("A debit that the bank made by itself", code="hdfc", at=at)


async def balance(world: World, account_id: UUID) -> int:
    async with world.sessionmaker() as session:
        return (await session.get_one(Account, account_id)).balance


async def findings(world: World) -> list[tuple[str, str, datetime | None]]:
    async with world.sessionmaker() as session:
        rows = await session.scalars(select(ReconciliationFinding))
        return [(row.kind, row.reference, row.resolved_at) for row in rows]


async def test_it_is_found_and_stops_nothing_until_a_proof_asks_the_bank(world_alone: World, batua: Batua) -> None:
    wallet = await world_alone.person()
    assert world_alone.bank.pay(FEE, 7_00).status_code == 200
    assert (await batua("reconcile", "--bank", "hdfc", "--grace-seconds", "0")).exit_code == 1
    assert await findings(world_alone) == [("missing_here", FEE, None)]
    before = await world_alone.ask(wallet)
    await world_alone.work_until_status([before], "succeeded")

    failed = await batua("prove", "--json")
    assert failed.exit_code == 1, failed.output
    assert [broken["rule"] for broken in json.loads(failed.stdout)["broken"]] == [
        "hdfc: our settlement account equals the bank's book, line by line",
        "hdfc: the balance at the bank is ours",
    ]
    assert (await batua("prove", "--no-bank")).exit_code == 0
    assert "No payout leaves" in (await batua("withdrawals", "list-review")).output
    await world_alone.ask(wallet)
    assert await world_alone.engine.advance(owner_of(wallet)) == 0


@pytest.mark.parametrize("timings", [SOON_SENT], ids=["soon sent"])
async def test_the_steps_of_the_runbook_book_it_once_and_let_payouts_leave(world_alone: World, batua: Batua) -> None:
    wallet = await world_alone.person()
    assert world_alone.bank.pay(FEE, 7_00).status_code == 200
    (line,) = world_alone.bank.paid_out(FEE)
    await batua("reconcile", "--bank", "hdfc", "--grace-seconds", "0")
    assert (await batua("prove")).exit_code == 1
    asked = await world_alone.ask(wallet)

    for step in steps(line["at"]):
        ran = await batua(*step)
        assert ran.exit_code == 0, (step, ran.output)
    async with world_alone.sessionmaker() as session:
        suspense = await session.get_one(Account, system_accounts.SUSPENSE)
    assert suspense.balance == -7_00
    ((kind, reference, resolved_at),) = await findings(world_alone)
    assert (kind, reference) == ("missing_here", FEE)
    assert resolved_at is not None
    await world_alone.work_until_status([asked], "succeeded")
    assert (await batua("prove")).exit_code == 0


@pytest.mark.xdist_group("database roles")
async def test_two_operators_bring_suspense_to_zero_as_the_runbook_says(
    world_alone: World,
    batua: Batua,
    asha: Operator,  # noqa: F811
    ravi: Operator,  # noqa: F811
) -> None:
    wallet = await world_alone.person(balance=9_00)
    assert wallet.handle is not None
    for reference, amount in ((FEE, 7_00), (OWED, 5_00)):
        assert world_alone.bank.pay(reference, amount).status_code == 200
    (line,) = world_alone.bank.paid_out(FEE)
    for step in steps(line["at"]):
        ran = await batua(*step)
        assert ran.exit_code == 0, (step, ran.output)
    assert await balance(world_alone, system_accounts.SUSPENSE) == -12_00

    named = {"wallet-id": wallet.handle, "how-you-know": "asked"}
    book_fee, confirm, _, _ = section("A debit in `suspense`", reference=FEE, **named)
    _, _, collect, _ = section("A debit in `suspense`", reference=OWED, **named)
    for propose in (book_fee, collect):
        proposal = (await asha.answer(*propose))["id"]
        await ravi.answer(*[proposal if word == "<proposal>" else word for word in confirm])
    assert await balance(world_alone, system_accounts.SUSPENSE) == 0
    assert await balance(world_alone, system_accounts.FEES) == -7_00
    assert await world_alone.money(wallet) == (4_00, 0)
    assert (await batua("prove")).exit_code == 0
    night = await batua("reconcile", "--bank", "hdfc", "--grace-seconds", "0")
    assert night.exit_code == 0, night.output
    settled = await batua("recovery", "begin", "--restored-to", line["at"])
    assert settled.exit_code == 0, settled.output
    again = json.loads((await batua("recovery", "settle", "--json")).stdout)["banks"]
    assert [report["settled"] for report in again] == [[] for _ in BANKS]
    assert await balance(world_alone, system_accounts.SUSPENSE) == 0


async def test_one_that_is_booked_weeks_later_is_no_difference_the_night_after(
    world_alone: World, batua: Batua, tmp_path: Path
) -> None:
    await world_alone.person()
    at = clock.now() - timedelta(days=20)
    with closing(sqlite3.connect(tmp_path / "bank.sqlite", timeout=deadline())) as bank, bank:
        bank.row_factory = sqlite3.Row
        book.post(bank, "hdfc", book.NODAL, book.OUTSIDE, amount=7_00, at=at, reference=FEE, utr="N000000000007")
    for step in steps(rfc3339(at))[1:]:
        ran = await batua(*step)
        assert ran.exit_code == 0, (step, ran.output)
    night = await batua("reconcile", "--bank", "hdfc", "--grace-seconds", "0")
    assert night.exit_code == 0, night.output
    assert await findings(world_alone) == []
