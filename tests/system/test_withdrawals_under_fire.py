"""Withdrawals against a bank that is slow, down or forgetful, and a worker that is killed."""

from __future__ import annotations

import random
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from bench.payouts import create_people, fill_queue
from infra.demo.actors import PIN, Holder, SimulatedBank, wait_for
from infra.local.stack import Stack
from shared.config import DatabaseSettings
from shared.db.engine import create_engine, create_sessionmaker
from shared.models import Withdrawal
from tests.support.deadlines import patience
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.xdist_group("system")

SLOTS = 64
"""As many as one worker has for each bank."""
FINAL = {"succeeded", "failed", "cancelled", "reversed"}


def withdraw(holder: Holder, amount: int = 10_00) -> str:
    body = {
        "bank": "hdfc",
        "account_number": "50100012345678",
        "ifsc": "HDFC0000123",
        "account_holder": "Asha Rao",
        "amount": amount,
        "pin": PIN,
    }
    return str(holder.post("/withdrawals", body, expect_status=202).json()["id"])


def statuses(holder: Holder) -> dict[str, str]:
    return {item["id"]: item["status"] for item in holder.get("/withdrawals?limit=100")["items"]}


def counts_of(holder: Holder) -> Counter[str]:
    return Counter(statuses(holder).values())


def until_finished(holders: Iterable[Holder], *, seconds: float = 90) -> None:
    for holder in holders:
        wait_for(
            partial(counts_of, holder),
            lambda counts: set(counts) <= FINAL,
            "every withdrawal is finished",
            seconds=patience(seconds),
        )


@asynccontextmanager
async def queue_of(stack: Stack, count: int) -> AsyncIterator[tuple[set[str], Callable[[], Awaitable[list[str]]]]]:
    """Withdrawals of as many people, all queued at once: their references, and how to read their statuses."""
    settings = DatabaseSettings(database_url=SecretStr(stack.database_url()))
    engine = create_engine(settings, application_name="tests")
    sessionmaker = create_sessionmaker(engine)
    people = await create_people(sessionmaker, count, balance=10_00)
    references = await fill_queue(sessionmaker, people, count)

    async def statuses_now() -> list[str]:
        async with sessionmaker() as session:
            found = await session.scalars(select(Withdrawal.status).where(Withdrawal.id.in_(map(UUID, references))))
            return [str(status) for status in found]

    try:
        yield references, statuses_now
    finally:
        await engine.dispose()


async def are_all(statuses_now: Callable[[], Awaitable[list[str]]], status: str) -> bool:
    return set(await statuses_now()) == {status}


def calls_by_user(bank: SimulatedBank, references: set[str]) -> dict[str, list[dict[str, Any]]]:
    by_user = defaultdict(list)
    for call in bank.calls_for(references):
        by_user[call["user_ref"]].append(call)
    return by_user


def assert_paid_exactly_once(bank: SimulatedBank, references: set[str]) -> None:
    paid = Counter(item["reference"] for item in bank.paid(references))
    assert paid == dict.fromkeys(references, 1)


def test_twenty_clicks_leave_one_after_another(
    bank: SimulatedBank, person: Callable[..., Holder], prove: Callable[[], None]
) -> None:
    asha = person()
    bank.misbehave(latency_ms=60)
    with ThreadPoolExecutor(20) as clicks:
        references = set(clicks.map(lambda _: withdraw(asha), range(20)))
    assert len(references) == 20
    until_finished([asha])
    (calls,) = calls_by_user(bank, references).values()
    assert len(calls) == 20
    for earlier, later in pairwise(calls):
        assert later["started_at"] >= earlier["ended_at"]
    assert [call["reference"] for call in calls] == sorted(references), "first come, first served"
    assert_paid_exactly_once(bank, references)
    assert asha.balance() == {"balance": 800_00, "held": 0, "available": 800_00}
    prove()


def test_people_do_not_wait_for_each_other(bank: SimulatedBank, person: Callable[..., Holder]) -> None:
    people = [person() for _ in range(8)]
    for _ in range(5):  # on a busy machine the first call may have timed out when the last begins
        bank.misbehave(hold_at="before_work")
        with ThreadPoolExecutor(8) as clicks:
            references = set(clicks.map(withdraw, people))
        wait_for(
            lambda references=references: len({call["reference"] for call in bank.calls_for(references)}),  # type: ignore[misc]
            lambda count: count == len(people),
            "all eight are at the bank",
            seconds=patience(),
        )
        bank.misbehave()
        until_finished(people)
        calls = sorted(bank.calls_for(references), key=lambda call: str(call["started_at"]))
        assert any(later["started_at"] < earlier["ended_at"] for earlier, later in pairwise(calls)), "one by one"
        if max(call["started_at"] for call in calls) < min(call["ended_at"] for call in calls):
            return
    pytest.fail("never were all eight at the bank at the same time")


def test_two_hundred_withdrawals_with_lost_answers_are_paid_exactly_once(
    bank: SimulatedBank, person: Callable[..., Holder], prove: Callable[[], None]
) -> None:
    with ThreadPoolExecutor(8) as clicks:
        people = list(clicks.map(lambda _: person(), range(20)))
        bank.misbehave(timeout_after_rate=0.5, idempotency=False, seed=20261120)
        references = set(clicks.map(withdraw, people * 10))
    assert len(references) == 200
    until_finished(people, seconds=150)
    for holder in people:
        assert set(statuses(holder).values()) == {"succeeded"}
        assert holder.balance() == {"balance": 900_00, "held": 0, "available": 900_00}
    assert_paid_exactly_once(bank, references)
    for calls in calls_by_user(bank, references).values():
        for earlier, later in pairwise(calls):
            assert later["started_at"] >= earlier["ended_at"]
    bank.misbehave()
    prove()


@pytest.mark.parametrize("point", ["before_work", "after_work"])
def test_a_worker_killed_while_the_bank_works_finishes_after_its_restart(
    point: str, stack: Stack, bank: SimulatedBank, person: Callable[..., Holder], prove: Callable[[], None]
) -> None:
    asha = person()
    bank.misbehave(hold_at=point, idempotency=False)
    reference = withdraw(asha)
    wait_for(lambda: bank.calls_for({reference}), bool, "the bank has the payout", seconds=patience())
    pid = stack.kill("withdraw_worker")
    stack.wait_until_back("withdraw_worker", after_pid=pid, seconds=patience(60))
    bank.misbehave(idempotency=False)
    until_finished([asha])
    assert statuses(asha) == {reference: "succeeded"}
    assert_paid_exactly_once(bank, {reference})
    assert asha.balance()["balance"] == 990_00
    prove()


async def test_a_worker_killed_with_every_slot_in_use_pays_each_exactly_once(
    stack: Stack, bank: SimulatedBank, prove: Callable[[], None]
) -> None:
    bank.misbehave(hold_at="after_work", idempotency=False)
    async with queue_of(stack, SLOTS) as (references, statuses_now):
        wait_for(
            lambda: len(bank.calls_for(references)), lambda count: count == SLOTS, "all at the bank", seconds=patience()
        )
        pid = stack.kill("withdraw_worker")
        stack.wait_until_back("withdraw_worker", after_pid=pid, seconds=patience(60))
        bank.misbehave(idempotency=False)
        await eventually_async(lambda: are_all(statuses_now, "succeeded"), "all are paid", seconds=60)
    calls = Counter(call["reference"] for call in bank.calls_for(references))
    assert calls == dict.fromkeys(references, 1), "the bank was asked before anything was sent again"
    assert_paid_exactly_once(bank, references)
    prove()


async def test_a_worker_that_is_told_to_stop_leaves_no_call_unrecorded(
    stack: Stack, bank: SimulatedBank, prove: Callable[[], None]
) -> None:
    for _ in range(5):  # on a busy machine calls may have timed out, and others begun, before the worker is told
        bank.misbehave(hold_at="after_work", idempotency=False)
        async with queue_of(stack, SLOTS + 10) as (references, statuses_now):
            wait_for(
                partial(bank.calls_for, references),
                lambda calls: len(calls) >= SLOTS,
                "slots are used",
                seconds=patience(),
            )
            stack.stop_process("withdraw_worker")
            # It waited for its calls, which the bank held until they timed out, and began no other.
            now = Counter(await statuses_now())
            assert now["in_flight"] == 0
            bank.misbehave(idempotency=False)
            stack.start_process("withdraw_worker")
            await eventually_async(partial(are_all, statuses_now, "succeeded"), "all are paid", seconds=60)
        assert_paid_exactly_once(bank, references)
        prove()
        if now["queued"] >= 10:
            return
    pytest.fail("each time, the worker began calls that it had no slot for")


def test_a_worker_killed_at_any_moment_loses_nothing_and_pays_nothing_twice(
    stack: Stack, bank: SimulatedBank, person: Callable[..., Holder], prove: Callable[[], None]
) -> None:
    dice = random.Random(7)
    people = [person() for _ in range(4)]
    bank.misbehave(latency_ms=30, latency_tail_ms=100, timeout_after_rate=0.2, idempotency=False, seed=7)
    references: set[str] = set()
    for _ in range(4):
        references |= {withdraw(holder) for holder in people for _ in range(2)}
        time.sleep(dice.uniform(0, 0.5))  # not to wait for anything: to fall on a random moment
        pid = stack.kill("withdraw_worker")
        stack.wait_until_back("withdraw_worker", after_pid=pid, seconds=patience(60))
    until_finished(people)
    assert {status for holder in people for status in statuses(holder).values()} == {"succeeded"}
    assert_paid_exactly_once(bank, references)
    bank.misbehave()
    prove()


def test_a_bank_that_is_down_delays_and_loses_nothing(
    bank: SimulatedBank, person: Callable[..., Holder], prove: Callable[[], None]
) -> None:
    asha = person()
    bank.misbehave(down=True)
    first, second = withdraw(asha), withdraw(asha)
    wait_for(
        lambda: statuses(asha)[first],
        lambda status: status in {"waiting", "unknown"},
        "the first waits for the bank",
        seconds=patience(),
    )
    assert statuses(asha)[second] == "queued"
    assert asha.balance() == {"balance": 1000_00, "held": 20_00, "available": 980_00}
    timeline = asha.get(f"/withdrawals/{first}")["timeline"]
    assert len(timeline) >= 2
    bank.misbehave()
    until_finished([asha])
    assert set(statuses(asha).values()) == {"succeeded"}
    assert_paid_exactly_once(bank, {first, second})
    prove()


def test_a_refused_payout_gives_the_money_back(bank: SimulatedBank, person: Callable[..., Holder]) -> None:
    asha = person()
    bank.misbehave(refuse_rate=1.0)
    reference = withdraw(asha)
    until_finished([asha])
    assert statuses(asha) == {reference: "failed"}
    assert asha.balance() == {"balance": 1000_00, "held": 0, "available": 1000_00}


def test_a_bank_that_answers_later_or_takes_it_back_is_followed(
    bank: SimulatedBank, person: Callable[..., Holder], prove: Callable[[], None]
) -> None:
    asha, bela = person(), person()
    bank.misbehave(async_rate=1.0, async_delay_ms=500)
    later = withdraw(asha)
    until_finished([asha])
    assert statuses(asha) == {later: "succeeded"}
    bank.misbehave(reversal_rate=1.0)
    taken_back = withdraw(bela)
    wait_for(
        lambda: statuses(bela)[taken_back],
        lambda status: status == "reversed",
        "the money comes back",
        seconds=patience(30),
    )
    assert bela.balance() == {"balance": 1000_00, "held": 0, "available": 1000_00}
    prove()
