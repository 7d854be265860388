"""Notices about payouts that come late, twice or out of order: they are believed, and money moves once."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from shared.models import Account
from shared.models.webhook_delivery import Verdict
from shared.withdrawals.bank_calls import BankCall
from shared.withdrawals.facts import Fact, MayBeDone, NotDone, Paid, PayoutRefused
from shared.withdrawals.notices import PayoutOutcome
from tests.support.withdrawal_world import World, hasty, owner_of

FULL = (1_000_00, 0)
HELD = (1_000_00, 100_00)
PAID = (900_00, 0)


async def in_flight(world: World) -> tuple[Account, UUID]:
    """Sent by a worker that never recorded the outcome."""
    wallet = await world.person(1_000_00)
    withdrawal = await world.ask(wallet, 100_00)
    assert await world.engine.next_call(owner_of(wallet)) is not None
    await world.let_lease_end(withdrawal)
    return wallet, withdrawal


async def being_sent(world: World) -> tuple[Account, UUID, BankCall]:
    """A worker is sending it now."""
    wallet = await world.person(1_000_00)
    withdrawal = await world.ask(wallet, 100_00)
    call = await world.engine.next_call(owner_of(wallet))
    assert call is not None
    return wallet, withdrawal, call


@pytest.mark.parametrize("status", ["in_flight", "needs_review"])
@pytest.mark.parametrize(
    ("outcome", "after", "money"),
    [
        (Paid("UTR1"), "succeeded", PAID),
        (PayoutRefused("ACCOUNT_CLOSED"), "failed", FULL),
        (MayBeDone("ReadTimeout"), "unknown", HELD),
        (NotDone("ConnectError"), "unknown", HELD),
    ],
)
async def test_a_failure_that_comes_during_a_send_waits_for_the_outcome_of_that_send(
    world: World, status: str, outcome: Fact, after: str, money: tuple[int, int]
) -> None:
    wallet, withdrawal, call = await being_sent(world)
    await world.change(withdrawal, status=status)
    assert await world.receive_notice(withdrawal, "failure") == PayoutOutcome(Verdict.NOTED, withdrawal)
    assert await world.receive_notice(withdrawal, "failure") == PayoutOutcome(Verdict.NOTED, withdrawal)
    assert await world.money(wallet) == HELD
    assert (await world.kinds(withdrawal)).count("refusal_heard") == 1
    await world.engine.record(call, outcome)
    is_open = after == "unknown"
    assert (await world.row(withdrawal)).status == (status if is_open and status == "needs_review" else after)
    assert await world.money(wallet) == money


async def test_a_failure_that_came_before_the_worker_died_is_settled_by_an_enquiry(world: World) -> None:
    wallet, withdrawal, _ = await being_sent(world)
    world.bank.pay(str(withdrawal), 100_00)
    await world.receive_notice(withdrawal, "failure")
    await world.let_lease_end(withdrawal)
    await world.work_until_status([withdrawal], "succeeded")
    assert await world.money(wallet) == PAID
    assert world.paid_out(withdrawal) == 100_00


@hasty
async def test_a_payout_that_the_bank_refused_and_forgot_is_not_sent_again(world: World) -> None:
    wallet, withdrawal, call = await being_sent(world)
    await world.receive_notice(withdrawal, "failure")
    await world.engine.record(call, MayBeDone("ReadTimeout"))
    await world.work_until_status([withdrawal], "needs_review")
    assert world.calls_for(wallet) == []
    assert await world.money(wallet) == HELD


@pytest.mark.parametrize(
    ("event", "status"), [("success", "succeeded"), ("failure", "failed"), ("reversed", "reversed")]
)
@pytest.mark.parametrize("before", ["in_flight", "waiting", "unknown", "needs_review"])
async def test_a_notice_ends_an_active_withdrawal(world: World, before: str, event: str, status: str) -> None:
    wallet, withdrawal = await in_flight(world)
    await world.change(withdrawal, status=before)
    assert await world.receive_notice(withdrawal, event) == PayoutOutcome(Verdict.SETTLED, withdrawal)
    row = await world.row(withdrawal)
    assert (row.status, row.lease_id, row.next_attempt_at) == (status, None, None)
    assert await world.money(wallet) == (PAID if event == "success" else FULL)
    assert (await world.kinds(withdrawal))[-1] == {"success": "paid", "failure": "refused"}.get(event, "returned")
    assert [mail["status"] for mail in await world.mail(wallet)] == [status]


@pytest.mark.parametrize("event", ["success", "failure", "reversed"])
async def test_a_copy_of_a_notice_changes_nothing(world: World, event: str) -> None:
    wallet, withdrawal = await in_flight(world)
    await world.receive_notice(withdrawal, event)
    before = await world.money(wallet)
    assert (await world.receive_notice(withdrawal, event)).verdict == "duplicate"
    assert await world.money(wallet) == before
    assert len(await world.mail(wallet)) == 1


async def test_ten_copies_at_once_settle_once(world: World) -> None:
    wallet, withdrawal = await in_flight(world)
    verdicts = await asyncio.gather(*(world.receive_notice(withdrawal, "success") for _ in range(10)))
    assert sorted(verdict.verdict for verdict in verdicts) == ["duplicate"] * 9 + ["settled"]
    assert await world.transfers(wallet) == ["payout"]


async def test_a_reversal_is_credited_once_and_names_the_payout(world: World) -> None:
    wallet, withdrawal = await in_flight(world)
    await world.receive_notice(withdrawal, "success")
    assert await world.money(wallet) == PAID
    assert (await world.receive_notice(withdrawal, "reversed")).verdict == "settled"
    assert (await world.receive_notice(withdrawal, "reversed")).verdict == "duplicate"
    assert await world.money(wallet) == FULL
    assert await world.transfers(wallet) == ["payout", "payout_reversal"]
    row = await world.row(withdrawal)
    assert (row.status, row.utr, row.failure_reason) == ("reversed", "UTR1", "ACCOUNT_CLOSED")
    assert [mail["status"] for mail in await world.mail(wallet)] == ["succeeded", "reversed"]


async def test_a_success_that_comes_after_its_reversal_is_a_duplicate(world: World) -> None:
    wallet, withdrawal = await in_flight(world)
    await world.receive_notice(withdrawal, "reversed")
    assert (await world.receive_notice(withdrawal, "success")).verdict == "duplicate"
    assert await world.money(wallet) == FULL


async def test_a_success_after_a_failure_is_a_contradiction_and_alerts(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    wallet, withdrawal = await in_flight(world)
    await world.receive_notice(withdrawal, "failure")
    assert await world.receive_notice(withdrawal, "success") == PayoutOutcome(Verdict.CONTRADICTION, withdrawal)
    assert (await world.row(withdrawal)).status == "failed"
    assert await world.money(wallet) == FULL
    assert (await world.kinds(withdrawal))[-1] == "contradiction"
    assert [record.levelname for record in caplog.records if "contradiction" in record.getMessage()] == ["ERROR"]


async def test_a_failure_after_a_success_changes_nothing(world: World) -> None:
    wallet, withdrawal = await in_flight(world)
    await world.receive_notice(withdrawal, "success")
    assert (await world.receive_notice(withdrawal, "failure")).verdict == "contradiction"
    assert await world.money(wallet) == PAID


async def test_a_second_payment_under_another_utr_is_a_contradiction(world: World) -> None:
    _, withdrawal = await in_flight(world)
    await world.receive_notice(withdrawal, "success", utr="UTR1")
    assert (await world.receive_notice(withdrawal, "success", utr="UTR2")).verdict == "contradiction"


async def test_a_payout_that_never_left_the_queue_cannot_have_succeeded(world: World) -> None:
    wallet = await world.person(1_000_00)
    withdrawal = await world.ask(wallet, 100_00)
    assert (await world.receive_notice(withdrawal, "success")).verdict == "contradiction"
    assert (await world.row(withdrawal)).status == "queued"
    assert await world.money(wallet) == HELD


async def test_another_amount_settles_nothing_and_the_bank_is_asked_at_once(world: World) -> None:
    wallet, withdrawal = await in_flight(world)
    await world.change(withdrawal, status="unknown", lease_id=None, lease_expires_at=None)
    world.bank.pay(str(withdrawal), 100_00)
    assert await world.receive_notice(withdrawal, "success", amount=999) == PayoutOutcome(
        Verdict.AMOUNT_MISMATCH, withdrawal
    )
    assert (await world.row(withdrawal)).status == "needs_review"
    assert await world.money(wallet) == HELD
    # The notice was wrong, the bank's book is right: the enquiry says so, and no person has to look.
    await world.work_until_status([withdrawal], "succeeded")


async def test_another_amount_leaves_the_lease_to_the_worker_that_sends(world: World) -> None:
    wallet = await world.person(1_000_00)
    withdrawal = await world.ask(wallet, 100_00)
    call = await world.engine.next_call(owner_of(wallet))
    assert call is not None
    assert (await world.receive_notice(withdrawal, "success", amount=999)).verdict == "amount_mismatch"
    assert await world.engine.next_call(owner_of(wallet)) is None
    await world.engine.record(call, await world.engine.make(call))
    assert (await world.row(withdrawal)).status == "succeeded"


async def test_another_amount_for_something_finished_is_only_noted(world: World) -> None:
    wallet, withdrawal = await in_flight(world)
    await world.receive_notice(withdrawal, "success")
    assert (await world.receive_notice(withdrawal, "success", amount=999)).verdict == "amount_mismatch"
    assert (await world.row(withdrawal)).status == "succeeded"
    assert await world.money(wallet) == PAID


@pytest.mark.parametrize("reference", ["not a uuid", "01a1fa59-586d-75e5-97ce-eed68a05ac38"])
async def test_a_reference_that_is_not_ours_is_unknown(world: World, reference: str) -> None:
    _, withdrawal = await in_flight(world)
    assert await world.receive_notice(withdrawal, "success", reference=reference) == PayoutOutcome(
        Verdict.UNKNOWN_REFERENCE
    )


async def test_a_notice_of_another_bank_is_unknown(world: World) -> None:
    _, withdrawal = await in_flight(world)
    assert (await world.receive_notice(withdrawal, "success", bank="axis")).verdict == "unknown_reference"
    assert (await world.row(withdrawal)).status == "in_flight"


async def test_a_notice_without_a_reason_is_a_failure_all_the_same(world: World) -> None:
    _, withdrawal = await in_flight(world)
    await world.receive_notice(withdrawal, "failure", reason=None)
    assert (await world.row(withdrawal)).failure_reason == "the bank gave no reason"


async def test_a_webhook_and_the_worker_at_once_capture_once(world: World) -> None:
    wallet = await world.person(1_000_00)
    withdrawal = await world.ask(wallet, 100_00)
    call = await world.engine.next_call(owner_of(wallet))
    assert call is not None
    fact = await world.engine.make(call)
    utr = getattr(fact, "utr", None)
    await asyncio.gather(world.engine.record(call, fact), world.receive_notice(withdrawal, "success", utr=utr))
    assert await world.transfers(wallet) == ["payout"]
    assert await world.money(wallet) == PAID
