"""The database is lost, and restored to a moment at which the banks had not yet done what they have done since."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from infra.demo.actors import PIN, Holder, SimulatedBank, wait_for
from infra.local.secrets import read_secrets
from infra.local.stack import Stack
from shared.clock import rfc3339
from tests.support.archiving import ask, create_archiving_database, ok, run, until_archived
from tests.support.deadlines import patience
from tests.support.waiting import eventually
from tests.support.whole_stack import FAST

pytestmark = pytest.mark.slow

SETTINGS = FAST | {"BATUA_PROCESSES": "1", "BATUA_ON_RAMPS__ENQUIRE_AFTER_SECONDS": "5"}
BEFORE = ("postgres", "redis", "dummy_bank", "user_app", "bank_webhook", "withdraw_worker")


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    made = tmp_path_factory.mktemp("disaster")
    yield made
    shutil.rmtree(made, ignore_errors=True)


def test_the_books_catch_up_with_the_banks_after_a_restore(home: Path, free_port_base: Callable[[], int]) -> None:
    port_base, archive = free_port_base(), home / "archive"
    first, second = (Stack(home / name, port_base, SETTINGS) for name in ("first", "second"))
    create_archiving_database(first.layout, archive)
    with running(first, *BEFORE) as bank:
        lives = Lives(*(sign_up(first, name) for name in ("Asha", "Bela")))
        ok(first, "backup", "take", str(archive))
        lives.before(bank)
        lives.moment = asyncio.run(ask(first, "SELECT clock_timestamp()"))
        lives.after(bank, sign_up(first, "Cora"))  # whom the restored database does not know
        until_archived(first)
        checked = json.loads(ok(first, "backup", "check", str(archive), "--json"))
        first.kill("postgres")
    assert (checked["ok"], checked["problems"]) == (True, [])
    assert lives.moment < datetime.fromisoformat(checked["restorable_to"])

    second.layout.make_directories()
    for file in (first.layout.secrets_file, *first.layout.home.glob("dummy_bank.sqlite*")):  # the bank goes on
        shutil.copy(file, second.layout.home / file.name)
    moment, into = rfc3339(lives.moment), str(second.layout.postgres_data)
    ok(first, "backup", "restore", str(archive), "--to", moment, "--into", into)
    with running(second, "postgres", "redis", "dummy_bank") as bank:
        ok(second, "prove", "--no-bank")
        catch_up(second, lives)
        for process in ("bank_webhook", "user_app", "scheduler"):
            second.start_process(process)
        lives.agree(bank)
        ok(second, "prove")
        assert asyncio.run(ask(second, "SELECT balance FROM accounts WHERE kind = 'suspense'")) == 500_00
        assert "No recovery is unfinished" in run(second, "recovery", "settle").stderr
    for holder in (lives.asha, lives.bela):
        holder.close()


def catch_up(stack: Stack, lives: Lives) -> None:
    """What an operator does on the restored database, and that a worker which is started too early sends nothing."""
    ok(stack, "recovery", "begin", "--restored-to", rfc3339(lives.moment))
    lacking = json.loads(ok(stack, "recovery", "settle", "--dry-run", "--json"))["lacking"]
    assert set(lacking["hdfc"]) == {lives.queued, lives.paid_in_later, lives.sent_later, lives.paid_in_by_cora}
    stack.start_process("withdraw_worker")
    of_each_bank = json.loads(ok(stack, "recovery", "settle", "--json"))["banks"]
    assert {one["reference"]: one["result"] for bank in of_each_bank for one in bank["settled"]} == {
        lives.queued: "debited",
        lives.paid_in_later: "credited",
        lives.sent_later: "debited",
        lives.paid_in_by_cora: "parked in suspense",
    }
    ok(stack, "recovery", "finish")


@dataclass(slots=True)
class Lives:
    """Two people, and the bank's references of what they do before and after the moment."""

    asha: Holder
    bela: Holder
    moment: datetime = field(init=False)
    open_session: dict[str, Any] = field(init=False)
    at_bank: str = field(init=False)
    queued: str = field(init=False)
    paid_in_later: str = field(init=False)
    sent_later: str = field(init=False)
    paid_in_by_cora: str = field(init=False)

    def before(self, bank: SimulatedBank) -> None:
        """What both books know, and what is under way: a session, a payout at the bank, and one in the queue."""
        bank.approve(begin_on_ramp(self.asha, 250_00)["redirect_url"])
        until_all(self.asha, "/on-ramps", "success")
        self.asha.post("/transfers", {"to": self.bela.wallet_id, "amount": 100_00, "pin": PIN}, expect_status=201)
        withdraw(self.asha, 50_00)
        until_all(self.asha, "/withdrawals", "succeeded")
        self.open_session = begin_on_ramp(self.asha, 300_00)
        bank.misbehave(hold_at="before_work")
        self.at_bank = withdraw(self.asha, 60_00)
        eventually(lambda: bank.calls_for({self.at_bank}), "the payout is at the bank")
        self.queued = withdraw(self.asha, 70_00)

    def after(self, bank: SimulatedBank, cora: Holder) -> None:
        """What only the bank will know. It pays whatever it is asked to, as often as it is asked."""
        bank.misbehave(idempotency=False)
        bank.approve(self.open_session["redirect_url"])
        begun, of_cora = begin_on_ramp(self.asha, 400_00), begin_on_ramp(cora, 500_00)
        self.paid_in_later, self.paid_in_by_cora = begun["id"], of_cora["id"]
        for each in (begun, of_cora):
            bank.approve(each["redirect_url"])
        until_all(self.asha, "/on-ramps", "success")
        until_all(cora, "/on-ramps", "success")
        until_all(self.asha, "/withdrawals", "succeeded")
        self.asha.post("/transfers", {"to": self.bela.wallet_id, "amount": 25_00, "pin": PIN}, expect_status=201)
        self.sent_later = withdraw(self.bela, 80_00)
        until_all(self.bela, "/withdrawals", "succeeded")
        cora.close()

    def agree(self, bank: SimulatedBank) -> None:
        """Each person has what the bank's book says. No reference is used again, and nothing was paid twice."""
        until_all(self.asha, "/on-ramps", "success")
        until_all(self.asha, "/withdrawals", "succeeded")
        known = 1000_00 + 250_00 - 100_00 - 50_00
        assert self.asha.balance() == nothing_held(known - 60_00 - 70_00 + 300_00 + 400_00)
        assert self.bela.balance() == nothing_held(1000_00 + 100_00 - 80_00)
        new = withdraw(self.bela, 1_00)
        until_all(self.bela, "/withdrawals", "succeeded")
        lines = Counter((line["reference"], line["direction"]) for line in bank.get("/api/statement")["items"])
        assert lines[new, "DEBIT"] == 1
        assert set(lines.values()) == {1}


@contextmanager
def running(stack: Stack, *processes: str) -> Iterator[SimulatedBank]:
    """The stack runs these processes, and none at the end; its HDFC, which behaves."""
    stack.start(processes)
    api_key = read_secrets(stack.layout.secrets_file)["BATUA_BANK_HDFC_API_KEY"]
    bank = SimulatedBank(f"{stack.url('dummy_bank')}/hdfc", api_key)
    try:
        bank.misbehave()
        yield bank
    finally:
        bank.close()
        stack.stop()


def sign_up(stack: Stack, name: str) -> Holder:
    return Holder(stack.url("user_app"), first_name=name, last_name="Rao")


def begin_on_ramp(holder: Holder, amount: int) -> dict[str, Any]:
    begun: dict[str, Any] = holder.post("/on-ramps", {"bank": "hdfc", "amount": amount}, expect_status=201).json()
    return begun


def withdraw(holder: Holder, amount: int) -> str:
    account = {"bank": "hdfc", "account_number": "50100012345678", "ifsc": "HDFC0000123", "account_holder": "A Rao"}
    asked = holder.post("/withdrawals", account | {"amount": amount, "pin": PIN}, expect_status=202)
    return str(asked.json()["id"])


def until_all(holder: Holder, path: str, status: str) -> None:
    """Wait until all of the holder's on-ramps or withdrawals have this status."""
    wait_for(
        lambda: {item["status"] for item in holder.get(f"{path}?limit=100")["items"]},
        lambda found: found == {status},
        f"{path} are all {status}",
        seconds=patience(60),
    )


def nothing_held(balance: int) -> dict[str, int]:
    return {"balance": balance, "held": 0, "available": balance}
