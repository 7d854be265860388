"""The circuit of a bank that fails: who may still call it, and when it closes again."""

from __future__ import annotations

from shared import clock
from shared.models import BankCircuit
from shared.withdrawals.facts import MayBeDone, NotDone
from tests.support.withdrawal_world import World, owner_of, past, taken


async def test_five_failures_open_the_circuit_and_then_no_worker_waits_for_the_bank(world: World) -> None:
    world.bank.faults(down=True)
    wallets = [await world.person() for _ in range(7)]
    withdrawals = [await world.ask(wallet) for wallet in wallets]
    for wallet in wallets[:5]:
        await world.engine.advance(owner_of(wallet), max_calls=1)
    async with world.sessionmaker.begin() as session:
        circuit = await session.get_one(BankCircuit, "hdfc")
        assert circuit.failures == 5
        circuit.open_until = past(-60)
    calls_so_far = len(world.bank.items("calls"))
    await world.engine.advance(owner_of(wallets[5]))
    row = await world.row(withdrawals[5])
    assert (row.status, row.attempts) == ("waiting", 0)
    assert await world.kinds(withdrawals[5]) == ["queued", "bank_shut"]
    assert len(world.bank.items("calls")) == calls_so_far


async def test_an_open_circuit_lets_one_probe_out_and_its_answer_closes_it(world: World) -> None:
    wallets = [await world.person() for _ in range(3)]
    withdrawals = [await world.ask(wallet) for wallet in wallets]
    async with world.sessionmaker.begin() as session:
        session.add(BankCircuit(bank="hdfc", failures=5, open_until=past(1), changed_at=clock.now()))
    probe = await world.engine.next_call(owner_of(wallets[0]))
    assert probe is not None
    assert probe.is_probe
    assert [await world.engine.next_call(owner_of(wallet)) for wallet in wallets[1:]] == [None, None]
    assert (await world.row(withdrawals[1])).status == "waiting"
    await world.engine.record(probe, await world.engine.make(probe))
    await world.work_until_status(withdrawals, "succeeded")
    async with world.sessionmaker() as session:
        closed = await session.get_one(BankCircuit, "hdfc")
        assert (closed.failures, closed.open_until, closed.probe_until) == (0, None, None)


async def test_a_failed_probe_keeps_the_circuit_open_for_longer(world: World) -> None:
    wallet = await world.person()
    await world.ask(wallet)
    world.bank.faults(down=True)
    async with world.sessionmaker.begin() as session:
        session.add(BankCircuit(bank="hdfc", failures=9, open_until=past(1), changed_at=clock.now()))
    await world.engine.advance(owner_of(wallet), max_calls=1)
    async with world.sessionmaker() as session:
        circuit = await session.get_one(BankCircuit, "hdfc")
    assert circuit.failures == 10
    assert circuit.open_until is not None
    assert circuit.open_until > clock.now()


async def test_a_call_let_out_before_the_circuit_opened_does_not_lengthen_it(world: World) -> None:
    wallet = await world.person()
    await world.ask(wallet)
    call = await taken(world, owner_of(wallet))
    async with world.sessionmaker.begin() as session:
        session.add(BankCircuit(bank="hdfc", failures=5, open_until=past(-60), changed_at=clock.now()))
    await world.engine.record(call, NotDone("ConnectError"))
    async with world.sessionmaker() as session:
        assert (await session.get_one(BankCircuit, "hdfc")).failures == 5


async def test_an_enquiry_waits_for_the_circuit_too_and_stays_unknown(world: World) -> None:
    wallet = await world.person()
    withdrawal = await world.ask(wallet)
    call = await taken(world, owner_of(wallet))
    await world.engine.record(call, MayBeDone("ReadTimeout"))
    async with world.sessionmaker.begin() as session:
        (await session.get_one(BankCircuit, "hdfc")).open_until = past(-60)
    assert await world.engine.next_call(owner_of(wallet)) is None
    assert (await world.row(withdrawal)).status == "unknown"


async def test_one_banks_trouble_leaves_the_other_alone(world: World) -> None:
    world.bank.faults(down=True)
    unlucky = [await world.person() for _ in range(6)]
    stuck = [await world.ask(wallet) for wallet in unlucky]
    lucky = await world.person()
    paid = await world.ask(lucky, bank="axis")
    await world.work_until_status([paid], "succeeded")
    assert all([(await world.row(withdrawal)).status == "waiting" for withdrawal in stuck])
