"""The dispatcher keeps a worker's slots busy, each bank's apart, and stops within one call."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from itertools import accumulate, pairwise
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text

from bench.payouts import create_people, fill_queue
from shared.models import Withdrawal
from shared.proof.prove import prove
from shared.withdrawals.bank_calls import BankCall, Outcome
from shared.withdrawals.dispatcher import LEASES_PER_SLOT, Dispatcher
from shared.withdrawals.engine import Claimed
from shared.withdrawals.facts import Fact
from tests.support.deadlines import deadline
from tests.support.waiting import eventually_async
from tests.support.withdrawal_world import PATIENT, Engine, World, owner_of

SLOTS = 8


@pytest.fixture
def world(world_alone: World) -> World:
    """With few slots, and a database of its own: the dispatcher takes whatever is due."""
    timings = PATIENT.model_copy(update={"slots_per_bank": SLOTS})
    return replace(world_alone, engine=replace(world_alone.engine, timings=timings))


class Worker:
    """A dispatcher that runs in the background."""

    def __init__(self, engine: Engine) -> None:
        self.dispatcher = Dispatcher(engine)
        self.is_stopping = False
        self.running = asyncio.create_task(self.dispatcher.run(lambda: self.is_stopping))

    async def stop(self) -> None:
        """Tell it to stop, as SIGTERM does, and wait until it has."""
        self.is_stopping = True
        self.dispatcher.wake()
        async with asyncio.timeout(deadline(30)):
            await self.running


def of_kind(kind: type[Engine], engine: Engine) -> Engine:
    """An engine of this kind, with the same parts."""
    return kind(engine.sessionmaker, engine.freezes, engine.clients, engine.timings, engine.number_keys)


@asynccontextmanager
async def working(engine: Engine) -> AsyncIterator[Worker]:
    worker = Worker(engine)
    try:
        yield worker
    finally:
        await worker.stop()


async def statuses(world: World) -> Counter[str]:
    async with world.sessionmaker() as session:
        return Counter(str(status) for status in await session.scalars(select(Withdrawal.status)))


async def until_all_succeed(world: World, count: int, seconds: float = 60) -> None:
    async def all_did() -> bool:
        return await statuses(world) == {"succeeded": count}

    await eventually_async(all_did, "every withdrawal is paid", seconds)


def spans(calls: Sequence[dict[str, Any]]) -> list[tuple[float, float]]:
    return [
        (datetime.fromisoformat(call["started_at"]).timestamp(), datetime.fromisoformat(call["ended_at"]).timestamp())
        for call in calls
    ]


def most_at_once(calls: Sequence[dict[str, Any]]) -> int:
    steps = sorted(step for began, ended in spans(calls) for step in ((began, 1), (ended, -1)))
    return max(accumulate(step for _, step in steps))


@pytest.mark.slow
async def test_withdrawals_of_sixty_people_keep_every_slot_busy(world: World) -> None:
    """The bank holds the first wave, so every slot is seen to be used. After that, calls end when the test lets them:
    some at a time, and each time all slots are taken again. One of the first wave is held until all others are paid.
    """

    class Held(Engine):
        async def make(self, call: BankCall) -> Fact:
            begun.append(call)
            may_end = may_first_end if len(begun) == 1 else may_another_end
            fact = await Engine.make(self, call)
            await may_end.acquire()
            return fact

    async def until_all_slots_are_taken(ended: int) -> None:
        async def are_taken() -> bool:
            return len(begun) == ended + slots

        await eventually_async(are_taken, f"the slots of {ended} calls that ended are filled, while others are held")

    async def all_others_are_paid() -> bool:
        return await statuses(world) == {"succeeded": payouts - each, "in_flight": 1, "queued": each - 1}

    slots, each = 32, 4
    people = await create_people(world.sessionmaker, 60, balance=1_000_00)
    payouts = each * len(people)
    references = await fill_queue(world.sessionmaker, people, payouts)
    begun: list[BankCall] = []
    may_first_end, may_another_end = asyncio.Semaphore(0), asyncio.Semaphore(0)
    # Nothing but the end of a call makes it look for more.
    patient = {"slots_per_bank": slots, "lease_seconds": deadline(200), "sweep_seconds": deadline(200)}
    world.bank.faults(hold_at="before_work", idempotency=False)
    async with working(of_kind(Held, replace(world.engine, timings=PATIENT.model_copy(update=patient)))):
        try:
            await eventually_async(lambda: at_the_bank(world, slots), "every slot is taken")
            world.bank.faults(idempotency=False)
            ended = 0
            for count in (1, 2, slots // 2, slots - 1, 1):
                _let(may_another_end, count)
                ended += count
                await until_all_slots_are_taken(ended)
            _let(may_another_end, payouts)
            what = "all are paid but those of the person whose call is held"
            await eventually_async(all_others_are_paid, what, seconds=60)
        finally:
            _let(may_another_end, payouts)
            _let(may_first_end, 1)
        await until_all_succeed(world, payouts)
    calls = [call for call in world.bank.items("calls") if call["reference"] in references]
    assert Counter(call["reference"] for call in calls) == dict.fromkeys(references, 1)
    assert most_at_once(calls) == slots
    for owner, _ in people:
        own = sorted(spans([call for call in calls if call["user_ref"] == str(owner)]))
        assert all(ended <= began for (_, ended), (began, _) in pairwise(own)), "one at a time for each owner"
    debits = Counter(line["reference"] for line in world.bank.items("statement") if line["reference"] in references)
    assert debits == dict.fromkeys(references, 1)
    assert (await prove(world.sessionmaker)).ok


def _let(calls_end: asyncio.Semaphore, count: int) -> None:
    for _ in range(count):
        calls_end.release()


async def test_without_a_hint_an_idle_worker_finds_what_is_due_by_itself(world: World) -> None:
    looked = asyncio.Event()

    class Looking(Engine):
        async def claim(self, free: Mapping[str, int], *, owner_id: UUID | None = None) -> Claimed:
            claimed = await Engine.claim(self, free, owner_id=owner_id)
            looked.set()
            return claimed

    async with working(of_kind(Looking, world.engine)):
        await looked.wait()
        await world.ask(await world.person())
        await until_all_succeed(world, 1)


async def test_a_bank_that_hangs_takes_no_slot_of_another(world: World) -> None:
    world.bank.faults(hold_at="before_work")
    stuck = [await world.ask(await world.person()) for _ in range(SLOTS + 3)]
    async with working(world.engine):
        await eventually_async(lambda: at_the_bank(world, SLOTS), "its slots are taken")
        paid = [await world.ask(await world.person(), bank="axis") for _ in range(3)]
        await eventually_async(lambda: are(world, paid, "succeeded"), "the other bank pays meanwhile")
        assert sum(bool(world.calls(withdrawal)) for withdrawal in stuck) == SLOTS
        world.bank.faults()
        await eventually_async(lambda: are(world, stuck, "succeeded"), "the bank that hung pays, too")


async def test_a_worker_that_is_told_to_stop_begins_no_call_and_records_those_under_way(world: World) -> None:
    world.bank.faults(hold_at="before_work")
    for _ in range(2 * SLOTS):
        await world.ask(await world.person())
    async with working(world.engine) as worker:
        await eventually_async(lambda: at_the_bank(world, SLOTS), "its slots are taken")
        worker.is_stopping = True
        worker.dispatcher.wake()
        world.bank.faults()
    assert await statuses(world) == {"succeeded": SLOTS, "queued": SLOTS}


async def test_an_outcome_waits_while_the_database_is_away_and_is_not_asked_for_again(world: World) -> None:
    class Interrupted(Engine):
        async def record_all(self, outcomes: Sequence[Outcome]) -> None:
            attempts.append(len(outcomes))
            if len(attempts) == 1:
                raise ConnectionResetError
            await Engine.record_all(self, outcomes)

    attempts: list[int] = []
    withdrawal = await world.ask(await world.person())
    async with working(of_kind(Interrupted, world.engine)):
        await until_all_succeed(world, 1)
    assert attempts == [1, 1]
    assert len(world.calls(withdrawal)) == 1
    assert await world.kinds(withdrawal) == ["queued", "sending", "paid"]


async def test_a_slot_is_filled_before_its_last_call_is_recorded_but_not_without_end(world: World) -> None:
    class Held(Engine):
        async def claim(self, free: Mapping[str, int], *, owner_id: UUID | None = None) -> Claimed:
            asked.append(set(free))
            return await Engine.claim(self, free, owner_id=owner_id)

        async def record_all(self, outcomes: Sequence[Outcome]) -> None:
            await may_record.wait()
            await Engine.record_all(self, outcomes)

    def ended() -> int:
        ours = [call for call in world.bank.items("calls") if call["reference"] in references]
        return sum(call["ended_at"] is not None for call in ours)

    async def each_slot_was_used_twice() -> bool:
        return ended() == LEASES_PER_SLOT * SLOTS

    async def is_not_asked_for_more() -> bool:
        worker.dispatcher.wake()
        return len(asked) > looks and "hdfc" not in asked[-1] and await at_the_bank(world, 0)

    asked: list[set[str]] = []
    may_record = asyncio.Event()
    waiting = [await world.ask(await world.person()) for _ in range(3 * SLOTS)]
    references = {str(withdrawal) for withdrawal in waiting}
    async with working(of_kind(Held, world.engine)) as worker:
        try:
            await eventually_async(each_slot_was_used_twice, "each slot is used a second time")
            looks = len(asked)
            await eventually_async(is_not_asked_for_more, "claiming waits for the recording")
            assert await each_slot_was_used_twice()
        finally:
            may_record.set()
        await until_all_succeed(world, len(waiting))
    assert all(len(world.calls(withdrawal)) == 1 for withdrawal in waiting)


async def test_an_outcome_that_outlives_its_lease_while_the_database_is_away_is_recorded_before_it_is_claimed(
    world: World,
) -> None:
    class Interrupted(Engine):
        async def record_all(self, outcomes: Sequence[Outcome]) -> None:
            attempts.append(len(outcomes))
            if not is_back.is_set():
                raise ConnectionResetError
            await Engine.record_all(self, outcomes)

    async def is_tried_again() -> bool:
        return len(attempts) > tried

    attempts: list[int] = []
    tried = 0
    is_back = asyncio.Event()
    withdrawal = await world.ask(await world.person())
    async with working(of_kind(Interrupted, world.engine)) as worker:
        await eventually_async(is_tried_again, "the call has ended, and is not recorded")
        expired = "SET lease_expires_at = now(), next_attempt_at = now() WHERE status = 'in_flight'"
        async with world.sessionmaker.begin() as session:
            await session.execute(text(f"UPDATE withdrawals {expired}"))
        tried = len(attempts)
        worker.dispatcher.wake()
        await eventually_async(is_tried_again, "it is tried again")
        assert (await world.row(withdrawal)).status == "in_flight"
        is_back.set()
        await until_all_succeed(world, 1)
    assert len(world.calls(withdrawal)) == 1
    assert await world.kinds(withdrawal) == ["queued", "sending", "paid"]


async def test_what_is_being_claimed_when_the_worker_is_told_to_stop_is_called_and_recorded(world: World) -> None:
    class Held(Engine):
        async def claim(self, free: Mapping[str, int], *, owner_id: UUID | None = None) -> Claimed:
            claimed = await Engine.claim(self, free, owner_id=owner_id)
            if claimed.calls:
                has_claimed.set()
                await may_answer.wait()
            return claimed

    has_claimed, may_answer = asyncio.Event(), asyncio.Event()
    withdrawal = await world.ask(await world.person())
    async with working(of_kind(Held, world.engine)) as worker:
        await has_claimed.wait()
        worker.is_stopping = True
        worker.dispatcher.wake()
        ended, _ = await asyncio.wait([worker.running], timeout=4 * world.engine.timings.sweep_seconds)
        assert not ended
        may_answer.set()
    assert await world.kinds(withdrawal) == ["queued", "sending", "paid"]


@pytest.mark.parametrize("status", ["in_flight", "succeeded"])
async def test_one_that_cannot_be_begun_or_recorded_holds_up_no_other(world: World, status: str) -> None:
    bad, *good = [await world.ask(await world.person()) for _ in range(4)]
    async with world.sessionmaker.begin() as session:
        await session.execute(
            text(f"ALTER TABLE withdrawals ADD CONSTRAINT broken CHECK (id <> '{bad}' OR status <> '{status}')")
        )
    async with working(world.engine):
        await eventually_async(lambda: are(world, good, "succeeded"), "the others are paid")
    assert (await world.row(bad)).status in ("queued", "in_flight")
    assert len(world.calls(bad)) == (0 if status == "in_flight" else 1)


async def test_people_whose_other_withdrawal_just_became_active_hold_up_no_other(world: World) -> None:
    busy, other = await world.person(), await world.person()
    first, second = await world.ask(busy, 1_00), await world.ask(busy, 1_00)
    third = await world.ask(other)
    async with world.sessionmaker() as session:
        await session.execute(
            text(f"UPDATE withdrawals SET status = 'waiting', active_since = now() WHERE id = '{second}'")
        )
        claiming = asyncio.create_task(world.engine.claim({"hdfc": SLOTS}))
        await eventually_async(lambda: waits_for_a_lock(world), "the claim meets the other worker's row")
        await session.commit()
    claimed = await claiming
    assert [call.withdrawal_id for call in claimed.calls if call.owner_id == owner_of(other)] == [third]
    assert (await world.row(first)).status == "queued"


async def at_the_bank(world: World, count: int) -> bool:
    return sum(call["ended_at"] is None for call in world.bank.items("calls")) == count


async def are(world: World, withdrawals: Sequence[Any], status: str) -> bool:
    return all([(await world.row(withdrawal)).status == status for withdrawal in withdrawals])


async def waits_for_a_lock(world: World) -> bool:
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    )
    async with world.sessionmaker() as session:
        return bool(await session.scalar(waiting))
