"""The database gives up a transaction of a recovery: it is run again, and each reference is settled once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from pydantic import SecretStr

from shared import clock
from shared.config import DatabaseSettings
from shared.db.engine import SessionMaker, create_engine, create_sessionmaker
from shared.ids import new_id
from shared.ledger import system_accounts
from shared.models import Account
from shared.proof.prove import prove
from shared.recovery.settling import Result, Settling
from tests.support.database_faults import Fault, Faults, faulty_engines
from tests.support.waiting import eventually_async
from tests.support.withdrawal_world import World, owner_of

STRANGER = "01890000-0000-7000-8000-000000000000"
ANYWHERE = (Fault.SERIALIZATION, Fault.LOST, Fault.CUT, Fault.DEADLOCK)


@pytest.fixture
def faults() -> Iterator[Faults]:
    """Says what befalls the statements of `faulty`."""
    with faulty_engines("recovery") as faults:
        yield faults


@pytest.fixture
async def faulty(faults: Faults, fresh_database_url: str) -> AsyncIterator[SessionMaker]:
    """Sessions of an operator's command."""
    settings = DatabaseSettings(database_url=SecretStr(fresh_database_url))
    engine = create_engine(settings, application_name="recovery")
    yield create_sessionmaker(engine)
    await engine.dispose()


async def suspense(world: World) -> int:
    async with world.sessionmaker() as session:
        return (await session.get_one(Account, system_accounts.SUSPENSE)).balance


@pytest.mark.parametrize("what", ["paid in", "paid out", "came back", "paid twice", "a stranger's"])
async def test_a_reference_is_settled_once_whatever_fails(
    world_alone: World, faults: Faults, faulty: SessionMaker, what: str
) -> None:
    settling = Settling(faulty, world_alone.engine.clients["hdfc"], "hdfc", clock.now(), "asha@desk")
    wallet = await world_alone.person(balance=100_000_00)
    world_alone.bank.faults(reversal_rate=1.0 if what == "came back" else 0.0, idempotency=False)

    async def happen() -> str:
        """The bank did it, and the database knows nothing of it."""
        reference = str(new_id())
        if what == "paid in":
            token = world_alone.bank.open_session(reference, 1_00, user_id=str(owner_of(wallet)))
            assert world_alone.bank.decide(token).status_code == 303
            return reference
        user = STRANGER if what == "a stranger's" else str(owner_of(wallet))
        for _ in range(2 if what == "paid twice" else 1):
            assert world_alone.bank.pay(reference, 1_00, user_ref=user).status_code == 200
        if what == "came back":

            async def came_back() -> bool:
                return len(world_alone.bank.paid_out(reference)) == 2

            await eventually_async(came_back, "the money came back")
        return reference

    async def settle_one(at: int | None = None, fault: Fault | None = None) -> tuple[list[Result], int, int]:
        """The results, and by how much the person's balance and suspense change."""
        reference = await happen()
        lacking = (await settling.look()).lacking
        balance, parked = (await world_alone.money(wallet))[0], await suspense(world_alone)
        faults.begin(at=at, fault=fault)
        settled = await settling._settle(lacking[reference])
        statements[:] = faults.seen
        faults.end()
        results = [one.result for one in settled]
        return results, (await world_alone.money(wallet))[0] - balance, await suspense(world_alone) - parked

    statements: list[str] = []
    usual = {
        "paid in": ([Result.CREDITED], 1_00, 0),
        "paid out": ([Result.DEBITED], -1_00, 0),
        "came back": ([Result.DEBITED], 0, 0),
        "paid twice": ([Result.DEBITED, Result.PARKED], -1_00, -1_00),
        "a stranger's": ([Result.PARKED], 0, -1_00),
    }[what]
    assert await settle_one() == usual
    assert await settle_one() == usual
    for number, statement in enumerate(list(statements)):
        for fault in Fault if statement == "COMMIT;" else [ANYWHERE[number % len(ANYWHERE)]]:
            found = await settle_one(number, fault)
            is_found_done = fault in (Fault.LOST_AFTER, Fault.CUT) and found[0] == [Result.KNOWN]
            assert (usual[0] if is_found_done else found[0], *found[1:]) == usual, f"{fault} at {number}: {statement}"
    assert (await settling.look()).lacking == {}
    assert (await prove(world_alone.sessionmaker)).ok
