"""Payouts against a real bank over HTTP and a real Postgres: what leaves, what is held, what the bank's book says."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from shared import clock
from shared.banks.client import BankClient, _Reply
from shared.banks.messages import PayoutAnswer, PayoutRequest
from shared.banks.settings import BankEndpoint
from shared.ids import new_id
from shared.withdrawals.facts import InProgress, MayBeDone, NotDone, Paid, PayoutRefused
from tests.support.deadlines import deadline
from tests.support.waiting import eventually, eventually_async
from tests.support.withdrawal_world import HASTY, PATIENT, World, engine_on, hasty, owner_of, past, taken


async def test_a_withdrawal_is_paid_once_and_captured(world: World) -> None:
    wallet = await world.person(1_000_00)
    withdrawal = await world.ask(wallet, 300_00)
    assert await world.money(wallet) == (1_000_00, 300_00)
    calls = await world.engine.advance(owner_of(wallet))
    row = await world.row(withdrawal)
    assert (row.status, row.attempts, calls) == ("succeeded", 1, 1)
    assert row.utr is not None
    assert row.utr.startswith("HDFC")
    assert await world.money(wallet) == (700_00, 0)
    assert await world.kinds(withdrawal) == ["queued", "sending", "paid"]
    assert world.paid_out(withdrawal) == 300_00
    (mail,) = await world.mail(wallet)
    assert (mail["status"], mail["amount"], mail["account_number"]) == ("succeeded", 300_00, "XXXXXX1234")


async def test_twenty_clicks_leave_one_after_another(world: World) -> None:
    wallet = await world.person(2_000_00)
    world.bank.faults(latency_ms=20)
    clicked = [await world.ask(wallet, 100_00) for _ in range(20)]
    await asyncio.gather(*(world.engine.advance(owner_of(wallet), max_calls=30) for _ in range(5)))
    await world.work_until_status(clicked, "succeeded")
    calls = world.calls_for(wallet)
    assert [call["reference"] for call in calls] == [str(withdrawal) for withdrawal in clicked]
    spans = [(datetime.fromisoformat(call["started_at"]), datetime.fromisoformat(call["ended_at"])) for call in calls]
    assert all(ended <= started for (_, ended), (started, _) in pairwise(spans))
    assert await world.money(wallet) == (0, 0)


async def test_other_people_are_not_held_up(world: World) -> None:
    world.bank.faults(hold_at="before_work")
    wallets = [await world.person() for _ in range(4)]
    withdrawals = [await world.ask(wallet) for wallet in wallets]

    async def all_are_at_the_bank() -> bool:
        return all(world.calls(withdrawal) for withdrawal in withdrawals)

    advancing = [asyncio.create_task(world.engine.advance(owner_of(wallet))) for wallet in wallets]
    await eventually_async(all_are_at_the_bank, "four calls are held at the bank")
    world.bank.faults()
    await asyncio.gather(*advancing)
    calls = [call for withdrawal in withdrawals for call in world.calls(withdrawal)]
    assert len(calls) == 4
    assert max(call["started_at"] for call in calls) < min(call["ended_at"] for call in calls)


async def test_nothing_to_do_asks_for_nothing(world: World) -> None:
    wallet = await world.person()
    assert await world.engine.advance(owner_of(wallet)) == 0


async def test_a_refusal_releases_the_hold(world: World) -> None:
    wallet = await world.person(500_00)
    world.bank.faults(refuse_rate=1)
    withdrawal = await world.ask(wallet, 200_00)
    await world.engine.advance(owner_of(wallet))
    row = await world.row(withdrawal)
    assert (row.status, row.transfer_id) == ("failed", None)
    assert row.failure_reason in ("ACCOUNT_CLOSED", "ACCOUNT_NOT_FOUND", "NAME_MISMATCH")
    assert await world.money(wallet) == (500_00, 0)
    assert world.paid_out(withdrawal) == 0


@hasty
async def test_a_time_out_after_the_work_is_asked_about_not_repeated(world: World) -> None:
    wallet = await world.person()
    world.bank.faults(timeout_after_rate=1, idempotency=False)
    withdrawal = await world.ask(wallet, 100_00)
    await world.work_until_status([withdrawal], "succeeded")
    assert len(world.calls(withdrawal)) == 1
    assert world.paid_out(withdrawal) == 100_00
    # On a busy machine the enquiry may be late as well, and is made again.
    kinds = [kind for kind in await world.kinds(withdrawal) if kind != "no_answer"]
    assert kinds == ["queued", "sending", "bank_slow", "paid"]


@hasty
async def test_what_never_arrived_is_sent_again_only_after_two_enquiries_a_grace_period_apart(world: World) -> None:
    wallet = await world.person()
    world.bank.faults(error_rate=1, idempotency=False)
    withdrawal = await world.ask(wallet, 100_00)
    await world.engine.advance(owner_of(wallet))
    row = await world.row(withdrawal)
    assert row.status == "unknown"
    # The faults end before the next enquiry, so it is answered.
    world.bank.faults(idempotency=False)
    await world.work_until_status([withdrawal], "succeeded")
    first, second = world.calls(withdrawal)
    waited = datetime.fromisoformat(second["started_at"]) - datetime.fromisoformat(first["ended_at"])
    assert waited.total_seconds() >= HASTY.not_found_grace_seconds
    kinds = await world.kinds(withdrawal)
    assert [kind for kind in kinds if kind in ("not_found", "never_arrived")] == ["not_found", "never_arrived"]
    assert (await world.row(withdrawal)).attempts == 2
    assert world.paid_out(withdrawal) == 100_00


async def test_a_bank_that_is_down_is_waited_for(world: World) -> None:
    wallet = await world.person()
    world.bank.faults(down=True)
    withdrawal = await world.ask(wallet, 100_00)
    await world.engine.advance(owner_of(wallet))
    assert (await world.row(withdrawal)).status == "waiting"
    assert await world.money(wallet) == (1_000_00, 100_00)
    world.bank.faults()
    await world.work_until_status([withdrawal], "succeeded")
    assert world.paid_out(withdrawal) == 100_00


async def test_a_refused_connection_is_certainly_not_sent(world: World) -> None:
    wallet = await world.person()
    withdrawal = await world.ask(wallet)
    unreachable = BankEndpoint(code="hdfc", name="HDFC", url="http://127.0.0.1:1", api_key=SecretStr("no key"))
    client = BankClient(unreachable, deadline())
    await engine_on(world.sessionmaker, {"hdfc": client}, PATIENT).advance(owner_of(wallet), max_calls=1)
    await client.aclose()
    assert (await world.row(withdrawal)).status == "waiting"
    assert await world.kinds(withdrawal) == ["queued", "sending", "bank_down"]


@pytest.mark.parametrize("refuse_rate", [0, 1])
async def test_a_promise_is_followed_up(world: World, refuse_rate: int) -> None:
    wallet = await world.person(1_000_00)
    world.bank.faults(async_rate=1, async_delay_ms=300, refuse_rate=refuse_rate)
    withdrawal = await world.ask(wallet, 100_00)
    await world.engine.advance(owner_of(wallet), max_calls=1)
    assert (await world.row(withdrawal)).status == "unknown"
    assert await world.money(wallet) == (1_000_00, 100_00)
    await world.work_until_status([withdrawal], "failed" if refuse_rate else "succeeded")
    assert await world.money(wallet) == ((1_000_00, 0) if refuse_rate else (900_00, 0))
    assert len(world.calls(withdrawal)) == 1
    assert (await world.kinds(withdrawal)).count("processing") <= 3


@hasty
async def test_money_found_to_have_come_back_leaves_and_returns_in_our_books_too(world: World) -> None:
    wallet = await world.person(1_000_00)
    world.bank.faults(timeout_after_rate=1, reversal_rate=1)
    withdrawal = await world.ask(wallet, 100_00)
    await world.engine.advance(owner_of(wallet), max_calls=1)
    eventually(lambda: len(world.bank.paid_out(str(withdrawal))) == 2, "the bank takes the payout back")
    await world.change(withdrawal, next_attempt_at=past(0))
    await world.work_until_status([withdrawal], "reversed")
    row = await world.row(withdrawal)
    assert None not in (row.transfer_id, row.reversal_transfer_id, row.utr)
    assert await world.transfers(wallet) == ["payout", "payout_reversal"]
    assert await world.money(wallet) == (1_000_00, 0)


@hasty
async def test_a_crash_before_the_call_is_asked_about_first(world: World) -> None:
    wallet = await world.person()
    withdrawal = await world.ask(wallet, 100_00)
    assert await world.engine.next_call(owner_of(wallet)) is not None  # and the worker dies
    assert await world.engine.next_call(owner_of(wallet)) is None
    await world.let_lease_end(withdrawal)
    await world.work_until_status([withdrawal], "succeeded")
    kinds = await world.kinds(withdrawal)
    assert kinds[:4] == ["queued", "sending", "interrupted", "not_found"]
    assert kinds[-3:] == ["never_arrived", "sending", "paid"]
    assert world.paid_out(withdrawal) == 100_00


async def test_after_a_crash_behind_the_call_nothing_is_paid_twice(world: World) -> None:
    wallet = await world.person()
    world.bank.faults(idempotency=False)
    withdrawal = await world.ask(wallet, 100_00)
    call = await taken(world, owner_of(wallet))
    assert isinstance(await world.engine.make(call), Paid)  # and the worker dies
    await world.let_lease_end(withdrawal)
    await world.work_until_status([withdrawal], "succeeded")
    assert len(world.calls(withdrawal)) == 1
    assert await world.money(wallet) == (900_00, 0)


async def test_a_worker_does_not_send_near_the_end_of_its_lease(world: World) -> None:
    wallet = await world.person()
    withdrawal = await world.ask(wallet)
    call = await taken(world, owner_of(wallet))
    latest_start = call.lease_expires_at - timedelta(seconds=PATIENT.bank_timeout_seconds)
    with clock.reading(lambda: latest_start):
        fact = await world.engine.make(call)
    assert fact == NotDone("our own delay", is_about_bank=False)
    assert world.calls(withdrawal) == []
    await world.engine.record(call, fact)
    assert (await world.row(withdrawal)).status == "waiting"
    assert await world.kinds(withdrawal) == ["queued", "sending", "delayed"]


@pytest.mark.parametrize("fact", [PayoutRefused("ACCOUNT_CLOSED"), NotDone("x"), MayBeDone("x"), InProgress()])
async def test_an_outcome_without_its_lease_is_dropped(world: World, fact: Any) -> None:
    wallet = await world.person(1_000_00)
    withdrawal = await world.ask(wallet, 100_00)
    call = await taken(world, owner_of(wallet))
    await world.change(withdrawal, lease_id=new_id())
    await world.engine.record(call, fact)
    assert (await world.row(withdrawal)).status == "in_flight"
    assert await world.money(wallet) == (1_000_00, 100_00)


async def test_a_payment_is_recorded_without_a_lease(world: World) -> None:
    wallet = await world.person(1_000_00)
    withdrawal = await world.ask(wallet, 100_00)
    call = await taken(world, owner_of(wallet))
    await world.change(withdrawal, lease_id=new_id(), status="unknown")
    await world.engine.record(call, Paid("UTR1"))
    await world.engine.record(call, Paid("UTR1"))
    assert (await world.row(withdrawal)).status == "succeeded"
    assert await world.transfers(wallet) == ["payout"]


async def test_another_amount_at_the_bank_needs_a_person(world: World, caplog: pytest.LogCaptureFixture) -> None:
    wallet = await world.person()
    withdrawal = await world.ask(wallet, 100_00)
    call = await taken(world, owner_of(wallet))
    assert world.bank.pay(reference=str(withdrawal), amount=200_00, account_number="1234567890").status_code == 200
    await world.change(withdrawal, lease_id=None, lease_expires_at=None, status="unknown", next_attempt_at=past(0))
    await world.engine.advance(call.owner_id, max_calls=1)
    row = await world.row(withdrawal)
    assert (row.status, await world.money(wallet)) == ("needs_review", (1_000_00, 100_00))
    assert any("amount_mismatch" in record.getMessage() for record in caplog.records if record.levelname == "ERROR")


async def test_unresolved_for_too_long_needs_a_person_and_a_late_answer_still_settles_it(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    wallet = await world.person()
    world.bank.faults(async_rate=1, async_delay_ms=60_000)
    withdrawal = await world.ask(wallet)
    await world.engine.advance(owner_of(wallet), max_calls=1)
    await world.change(withdrawal, active_since=past(PATIENT.review_after_seconds), next_attempt_at=past(0))
    await world.engine.advance(owner_of(wallet), max_calls=1)
    assert (await world.row(withdrawal)).status == "needs_review"
    assert await world.money(wallet) == (1_000_00, 100_00)
    assert [record.levelname for record in caplog.records if "needs a person" in record.getMessage()] == ["ERROR"]
    for _ in range(3):  # the bank is asked again, and a person is needed as before
        await world.change(withdrawal, next_attempt_at=past(0))
        await world.engine.advance(owner_of(wallet), max_calls=1)
    assert (await world.kinds(withdrawal)).count("needs_review") == 1
    assert (await world.receive_notice(withdrawal, "success")).verdict == "settled"
    assert (await world.row(withdrawal)).status == "succeeded"


async def test_only_the_one_active_rule_means_that_the_owner_is_busy(world_alone: World) -> None:
    wallet = await world_alone.person()
    await world_alone.ask(wallet)
    async with world_alone.sessionmaker.begin() as session:
        await session.execute(text("ALTER TABLE withdrawals ADD CONSTRAINT no_attempts CHECK (attempts = 0)"))
    with pytest.raises(IntegrityError):
        await world_alone.engine.next_call(owner_of(wallet))


@hasty
async def test_withdrawals_at_a_bank_that_forgets_hangs_and_fails_are_each_paid_once(world: World) -> None:
    world.bank.faults(seed=7, idempotency=False, timeout_after_rate=0.5, error_rate=0.1)
    wallets = [await world.person(50_00) for _ in range(12)]
    withdrawals = [await world.ask(wallet, 10_00) for wallet in wallets for _ in range(5)]

    async def all_done() -> bool:
        return all([await world.money(wallet) == (0, 0) for wallet in wallets])

    await world.work_until(all_done, seconds=90)
    debits = Counter(line["reference"] for line in world.bank.items("statement"))
    assert [debits[str(withdrawal)] for withdrawal in withdrawals] == [1] * 60
    for wallet in wallets:
        assert all(one["ended_at"] <= next_one["started_at"] for one, next_one in pairwise(world.calls_for(wallet)))


class Absentminded(BankClient):
    """Takes a payout in and then, asked, does not know of it."""

    sent = 0

    async def pay(self, asked: PayoutRequest) -> PayoutAnswer:
        self.sent += 1
        return PayoutAnswer(status="PROCESSING")

    async def enquire(self, reference: str) -> PayoutAnswer | None:
        return None


@hasty
async def test_a_payout_the_bank_took_in_is_not_sent_again_because_it_lost_sight_of_it(world: World) -> None:
    wallet = await world.person(1_000_00)
    withdrawal = await world.ask(wallet, 100_00)
    bank = Absentminded(BankEndpoint(code="hdfc", name="hdfc", url="http://bank.test", api_key=SecretStr("key")), 1)
    world.engine = engine_on(world.sessionmaker, {"hdfc": bank}, HASTY)
    await world.work_until_status([withdrawal], "needs_review", "succeeded")
    for _ in range(3):  # it is asked about on and on, and stays where it is
        await world.change(withdrawal, next_attempt_at=past(1))
        await world.engine.advance(owner_of(wallet))
    await bank.aclose()
    assert (bank.sent, (await world.row(withdrawal)).status) == (1, "needs_review")
    assert await world.money(wallet) == (1_000_00, 100_00)
    assert (await world.kinds(withdrawal))[-1] == "lost_sight"
    await world.receive_notice(withdrawal, "success", utr="UTR7")
    assert await world.money(wallet) == (900_00, 0)


@pytest.mark.parametrize("answered", ["refused", "failed"])
async def test_a_reason_that_cannot_be_stored_gives_the_money_back_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch, answered: str
) -> None:
    said = {"code": "NO\x00SUCH", "message": "\x00"} | ({"status": "FAILED"} if answered == "failed" else {})

    async def refuse(self: BankClient, request: httpx.Request, limit_bytes: int) -> _Reply:
        return _Reply(200 if answered == "failed" else 422, json.dumps(said).encode())

    monkeypatch.setattr(BankClient, "_exchange", refuse)
    wallet = await world.person()
    withdrawal = await world.ask(wallet)
    await world.engine.advance(owner_of(wallet))
    row = await world.row(withdrawal)
    assert (row.status, row.failure_reason) == ("failed", "NO\ufffdSUCH")
    assert await world.money(wallet) == (1_000_00, 0)
