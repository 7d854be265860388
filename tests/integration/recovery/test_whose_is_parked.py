"""What a recovery parks in suspense keeps whose it was and why, so that it can be collected."""

from __future__ import annotations

from shared.ids import new_id
from shared.ledger import freezing, system_accounts
from shared.ledger.post import post
from shared.ledger.rules import Transfer
from shared.operators.suspense import suspense
from tests.integration.recovery.test_settling import STRANGER, Disaster, disaster  # noqa: F401 - a fixture
from tests.support.withdrawal_world import owner_of


async def test_a_debit_keeps_its_owner_and_the_reason(disaster: Disaster) -> None:  # noqa: F811
    poor, frozen = await disaster.world.person(balance=99_99), await disaster.world.person()
    async with disaster.world.sessionmaker.begin() as session:
        await freezing.freeze(session, owner_of(frozen))
    references = [disaster.paid_out(owner_of(poor)), disaster.paid_out(owner_of(frozen)), disaster.paid_out(STRANGER)]
    await disaster.settle()
    async with disaster.world.sessionmaker() as session:
        found = await suspense(session, limit=10)
    items = {item.reference: (item.wallet_id, item.why) for item in found.items}
    assert items == {
        str(references[0]): (poor.handle, f"its owner {owner_of(poor)} has 9999 paise"),
        str(references[1]): (frozen.handle, f"its owner {owner_of(frozen)} is frozen"),
        str(references[2]): (
            None,
            "no withdrawal has this reference, and the bank named no owner who is known",
        ),
    }
    assert found.came_in - found.left == await disaster.suspense() == -300_00
    reasons = {facts["reference"]: facts["reason"] for facts in await disaster.audited()}
    assert reasons[str(references[0])] == f"its owner {owner_of(poor)} has 9999 paise"
    assert "the bank names no owner" in reasons[str(references[2])]
    assert await disaster.books_equal_the_banks()


async def test_what_the_bank_takes_under_the_reference_of_a_credit_that_was_taken_back_is_parked(
    disaster: Disaster,  # noqa: F811
) -> None:
    reference, hdfc = "stray-credit", system_accounts.SETTLEMENT["hdfc"]
    stray = Transfer(new_id(), "adjustment", hdfc, system_accounts.SUSPENSE, 5_00, note=reference)
    back = Transfer(new_id(), "adjustment", system_accounts.SUSPENSE, hdfc, 5_00, note=reference, reverses=stray.id)
    async with disaster.world.sessionmaker.begin() as session:
        await post(session, [stray, back])
    assert disaster.world.bank.pay(reference, 5_00).status_code == 200
    await disaster.settle()
    assert await disaster.suspense() == -5_00
    assert await disaster.books_equal_the_banks()
    await disaster.settle()
    assert await disaster.suspense() == -5_00
