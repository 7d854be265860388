"""What one claim takes: the oldest first, of each owner one, of each bank as many as it has slots for."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text

from shared import clock
from shared.models import BankCircuit
from shared.withdrawals.bank_calls import CallKind
from shared.withdrawals.facts import Paid
from tests.support.waiting import until_a_lock_is_awaited
from tests.support.withdrawal_world import World, owner_of, past, taken


@pytest.fixture
def world(world_alone: World) -> World:
    """On a database of its own: a claim takes whatever is due."""
    return world_alone


async def test_first_come_first_served_and_of_each_owner_one(world: World) -> None:
    asha, bela, chitra = [await world.person() for _ in range(3)]
    asked = [await world.ask(wallet, 1_00) for wallet in (bela, bela, asha, asha, chitra, chitra)]
    claimed = await world.engine.claim({"hdfc": 2, "axis": 2})
    assert [call.withdrawal_id for call in claimed.calls] == [asked[0], asked[2]]
    assert not claimed.more_is_due
    claimed = await world.engine.claim({"hdfc": 2, "axis": 2})
    assert [call.withdrawal_id for call in claimed.calls] == [asked[4]], "the others' owners are busy"
    assert (await world.engine.claim({"hdfc": 2})).calls == []


async def test_each_bank_gets_as_many_as_it_has_slots_for(world: World) -> None:
    for bank in ("hdfc", "hdfc", "hdfc", "axis", "axis", "axis"):
        await world.ask(await world.person(), bank=bank)
    claimed = await world.engine.claim({"hdfc": 1, "axis": 2})
    assert [call.bank for call in claimed.calls].count("hdfc") == 1
    assert [call.bank for call in claimed.calls].count("axis") == 2


async def test_an_owner_whose_payout_waits_at_one_bank_gets_none_at_another(world: World) -> None:
    wallet = await world.person()
    first, _ = await world.ask(wallet, 1_00, bank="axis"), await world.ask(wallet, 1_00, bank="hdfc")
    assert (await world.engine.claim({"hdfc": 1})).calls == [], "an earlier one is in the queue"
    (call,) = (await world.engine.claim({"axis": 1})).calls
    assert call.withdrawal_id == first
    assert (await world.engine.claim({"hdfc": 1, "axis": 1})).calls == [], "the owner is busy"


async def test_what_is_under_way_comes_before_the_queue(world: World) -> None:
    waiting, new = await world.person(), await world.person()
    first = await world.ask(new)
    second = await world.ask(waiting)
    await world.change(second, status="unknown", active_since=past(5), next_attempt_at=past(1))
    calls = (await world.engine.claim({"hdfc": 2})).calls
    assert [(call.withdrawal_id, call.kind) for call in calls] == [
        (second, CallKind.ENQUIRE),
        (first, CallKind.SEND),
    ]


async def test_workers_that_claim_at_once_share_what_is_due(world: World) -> None:
    for _ in range(12):
        await world.ask(await world.person(), 1_00)
    claims = await asyncio.gather(*(world.engine.claim({"hdfc": 3}) for _ in range(6)))
    taken = [call.withdrawal_id for claimed in claims for call in claimed.calls]
    taken += [call.withdrawal_id for call in (await world.engine.claim({"hdfc": 20})).calls]
    assert len(taken) == len(set(taken)) == 12


async def test_an_idle_claim_says_when_the_next_is_due(world: World) -> None:
    assert (await world.engine.claim({"hdfc": 5})).next_due_at is None
    withdrawal = await world.ask(await world.person())
    (call,) = (await world.engine.claim({"hdfc": 5})).calls
    assert (await world.engine.claim({"hdfc": 5})).next_due_at == call.lease_expires_at
    assert call.withdrawal_id == withdrawal


async def test_a_half_open_circuit_lets_one_of_a_whole_claim_through(world: World) -> None:
    withdrawals = [await world.ask(await world.person()) for _ in range(6)]
    async with world.sessionmaker.begin() as session:
        session.add(BankCircuit(bank="hdfc", failures=5, open_until=past(1), changed_at=clock.now()))
    claimed = await world.engine.claim({"hdfc": 4})
    (probe,) = claimed.calls
    assert (probe.withdrawal_id, probe.is_probe) == (withdrawals[0], True)
    assert claimed.more_is_due, "those put off took the places of others"
    assert [(await world.row(withdrawal)).status for withdrawal in withdrawals[1:4]] == ["waiting"] * 3
    assert (await world.engine.claim({"hdfc": 4})).calls == []
    assert (await world.row(withdrawals[5])).attempts == 0


async def test_many_outcomes_are_recorded_together_each_with_its_own_end(world: World) -> None:
    wallets = [await world.person(1_000_00) for _ in range(6)]
    withdrawals = [await world.ask(wallet) for wallet in wallets]
    world.bank.faults(refuse_rate=1)
    calls = (await world.engine.claim({"hdfc": 3})).calls
    outcomes = [(call, await world.engine.make(call)) for call in calls]
    world.bank.faults()
    calls = (await world.engine.claim({"hdfc": 3})).calls
    outcomes += [(call, await world.engine.make(call)) for call in calls]
    await world.engine.record_all(outcomes[::-1])
    assert [(await world.row(withdrawal)).status for withdrawal in withdrawals] == ["failed"] * 3 + ["succeeded"] * 3
    assert [await world.money(wallet) for wallet in wallets] == [(1_000_00, 0)] * 3 + [(900_00, 0)] * 3
    for wallet, withdrawal, end in zip(wallets, withdrawals, ["refused"] * 3 + ["paid"] * 3, strict=True):
        assert await world.kinds(withdrawal) == ["queued", "sending", end]
        assert len(await world.mail(wallet)) == 1
        assert (await world.engine.claim({"hdfc": 1}, owner_id=owner_of(wallet))).calls == []


async def test_accounts_of_late_outcomes_are_locked_in_id_order(world: World) -> None:
    """In another order, two workers would end in a deadlock: while this one waits for the first, it holds no other."""
    first, second = sorted([await world.person(1_000_00), await world.person(1_000_00)], key=lambda wallet: wallet.id)
    withdrawal = await world.ask(first)
    late = await taken(world, owner_of(first))
    await world.let_lease_end(withdrawal)
    await taken(world, owner_of(first))
    await world.ask(second)
    ours = await taken(world, owner_of(second))
    lock = text("SELECT FROM accounts WHERE id = :id FOR UPDATE NOWAIT")
    async with world.sessionmaker() as session:
        await session.execute(lock, {"id": first.id})
        recording = asyncio.create_task(world.engine.record_all([(ours, Paid("UTR1")), (late, Paid("UTR2"))]))
        await until_a_lock_is_awaited(world.sessionmaker)
        await session.execute(lock, {"id": second.id})
        await session.rollback()
    await recording
    assert [await world.money(wallet) for wallet in (first, second)] == [(900_00, 0)] * 2
