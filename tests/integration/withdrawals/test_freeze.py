"""A frozen owner's payouts: what the bank does not have yet stays, also when a worker has claimed it already."""

from __future__ import annotations

import pytest

from shared.ledger import freezing
from shared.models import Account
from shared.withdrawals.facts import NotDone
from tests.support.withdrawal_world import World, owner_of, taken


async def freeze(world: World, wallet: Account) -> None:
    async with world.sessionmaker.begin() as session:
        await freezing.freeze(session, owner_of(wallet))


async def unfreeze(world: World, wallet: Account) -> None:
    async with world.sessionmaker.begin() as session:
        await freezing.unfreeze(session, owner_of(wallet))


async def test_a_payout_in_the_queue_stays_there_and_others_go_on(world: World) -> None:
    frozen, other = await world.person(), await world.person()
    kept, sent = await world.ask(frozen), await world.ask(other)
    await freeze(world, frozen)
    await world.work_until_status([sent], "succeeded")
    assert await world.engine.next_call(owner_of(frozen)) is None
    assert ((await world.row(kept)).status, world.calls(kept)) == ("queued", [])
    await unfreeze(world, frozen)
    await world.work_until_status([kept], "succeeded")
    assert world.paid_out(kept) == 100_00


async def test_a_payout_that_was_claimed_is_not_sent(world: World) -> None:
    """The worker has committed its claim, and then the freeze was committed."""
    wallet = await world.person()
    withdrawal = await world.ask(wallet)
    call = await taken(world, owner_of(wallet))
    await freeze(world, wallet)
    fact = await world.engine.make(call)
    assert fact == NotDone("the account is frozen", is_about_bank=False)
    assert world.calls(withdrawal) == []
    await world.engine.record(call, fact)
    assert (await world.row(withdrawal)).status == "waiting"
    assert await world.money(wallet) == (1_000_00, 100_00)

    await world.change(withdrawal, next_attempt_at=None)
    assert await world.engine.next_call(owner_of(wallet)) is None, "it is due, and stays"
    await unfreeze(world, wallet)
    await world.work_until_status([withdrawal], "succeeded")
    assert world.paid_out(withdrawal) == 100_00


async def test_what_the_bank_has_is_asked_for_and_settled(world: World) -> None:
    wallet = await world.person()
    paid, unknown = await world.ask(wallet), await world.ask(wallet)
    call = await taken(world, owner_of(wallet))
    fact = await world.engine.make(call)
    await freeze(world, wallet)
    await world.engine.record(call, fact)
    assert (await world.row(paid)).status == "succeeded"
    assert await world.money(wallet) == (900_00, 100_00)

    await unfreeze(world, wallet)
    call = await taken(world, owner_of(wallet))
    await world.engine.make(call)  # the worker dies here: it records nothing
    await freeze(world, wallet)
    await world.let_lease_end(unknown)
    await world.work_until_status([unknown], "succeeded")
    assert await world.money(wallet) == (800_00, 0)


async def test_nothing_is_sent_while_it_is_not_known_whether_it_may(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    wallet = await world.person()
    withdrawal = await world.ask(wallet)
    call = await taken(world, owner_of(wallet))

    async def away(*_: object) -> bool:
        raise ConnectionRefusedError

    monkeypatch.setattr(world.engine.freezes, "stop", away)
    assert isinstance(await world.engine.make(call), NotDone)
    assert world.calls(withdrawal) == []
