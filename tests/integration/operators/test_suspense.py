"""`batua suspense list` as an operator runs it: what no payment explains, whose it is, and why it lies there."""

from __future__ import annotations

from typing import Any

import pytest

from shared.db.engine import SessionMaker
from shared.ids import new_id
from shared.ledger import system_accounts
from shared.ledger.post import post_one
from shared.ledger.rules import Transfer
from shared.models import Account
from tests.integration.operators.conftest import Operator
from tests.support.bank_flows import create_withdrawal
from tests.support.bank_notices import create_on_ramp

# Roles are of the whole server: two tests must not make them at the same time.
pytestmark = pytest.mark.xdist_group("database roles")


async def came_in(sessionmaker: SessionMaker, reference: str | None, amount: int, bank: str = "hdfc") -> Transfer:
    """As reconciliation parks it."""
    return await _post(sessionmaker, system_accounts.SETTLEMENT[bank], system_accounts.SUSPENSE, amount, note=reference)


async def left(sessionmaker: SessionMaker, reference: str, amount: int, bank: str = "hdfc", **more: Any) -> Transfer:
    """As a recovery books it, or as reconciliation takes a credit back."""
    there = system_accounts.SETTLEMENT[bank]
    return await _post(sessionmaker, system_accounts.SUSPENSE, there, amount, note=reference, **more)


async def _post(sessionmaker: SessionMaker, debited: Any, credited: Any, amount: int, **more: Any) -> Transfer:
    transfer = Transfer(new_id(), "adjustment", debited, credited, amount, **more)
    async with sessionmaker.begin() as session:
        await post_one(session, transfer)
    return transfer


async def balance(sessionmaker: SessionMaker) -> int:
    async with sessionmaker() as session:
        return (await session.get_one(Account, system_accounts.SUSPENSE)).balance


async def test_nothing_lies_there(asha: Operator) -> None:
    assert await asha.answer("suspense", "list") == {"items": [], "count": 0, "came_in": 0, "left": 0, "balance": 0}
    assert (await asha.run("suspense", "list")).output == "Nothing lies in suspense.\n"


async def test_each_item_says_whose_it_is_and_why(
    asha: Operator, fresh_sessionmaker: SessionMaker, alice: Account
) -> None:
    async with fresh_sessionmaker.begin() as session:
        on_ramp = await create_on_ramp(session, alice, amount=5_00, bank="axis")
        withdrawal = await create_withdrawal(session, alice, 30_00, status="failed")
    stranger = await came_in(fresh_sessionmaker, "NEFT 7", 9_00)
    await came_in(fresh_sessionmaker, str(on_ramp.id), 5_00, bank="axis")
    await left(fresh_sessionmaker, str(withdrawal.id), 30_00)
    await left(fresh_sessionmaker, gone := str(new_id()), 40_00, initiated_by=alice.owner_id)
    await left(fresh_sessionmaker, "fee", 2_00)
    answer = await asha.answer("suspense", "list")
    assert answer["items"][0].pop("at").endswith("Z")
    assert answer["items"][0] == {
        "reference": "NEFT 7",
        "bank": "hdfc",
        "direction": "CREDIT",
        "amount": 9_00,
        "transfer_id": str(stranger.id),
        "owner_id": None,
        "wallet_id": None,
        "why": "no on-ramp or withdrawal has this reference",
    }
    shown = [tuple(each[name] for name in ("reference", "direction", "amount", "why")) for each in answer["items"][1:]]
    assert shown == [
        (str(on_ramp.id), "CREDIT", 5_00, f"its on-ramp of ₹5.00 is {on_ramp.status}"),
        (str(withdrawal.id), "DEBIT", 30_00, "its withdrawal of ₹30.00 is failed"),
        (gone, "DEBIT", 40_00, "it could not be booked from its owner's account"),
        ("fee", "DEBIT", 2_00, "no withdrawal has this reference, and the bank named no owner who is known"),
    ]
    whose = [(each["owner_id"], each["wallet_id"]) for each in answer["items"][1:]]
    assert whose == [(str(alice.owner_id), alice.handle)] * 3 + [(None, None)]
    assert (answer["count"], answer["came_in"], answer["left"]) == (5, 14_00, 72_00)
    assert answer["balance"] == await balance(fresh_sessionmaker) == -58_00

    lines = (await asha.run("suspense", "list")).output.splitlines()
    assert lines[0].startswith("NEFT 7  hdfc  CREDIT  ₹9.00  ")
    assert lines[0].endswith("  whose is not known  no on-ramp or withdrawal has this reference")
    assert f"  {alice.handle}  its withdrawal" in lines[2]
    assert lines[-1] == "5 references: ₹14.00 came in, ₹72.00 left."


async def test_a_payment_at_another_bank_is_not_taken_for_its_own(
    asha: Operator, fresh_sessionmaker: SessionMaker, alice: Account
) -> None:
    """A reference is told to one bank."""
    async with fresh_sessionmaker.begin() as session:
        withdrawal = await create_withdrawal(session, alice, 30_00, status="failed", bank="axis")
    await left(fresh_sessionmaker, str(withdrawal.id), 30_00, bank="hdfc")
    (item,) = (await asha.answer("suspense", "list"))["items"]
    assert item["owner_id"] is None


async def test_what_was_taken_back_or_came_back_is_gone(asha: Operator, fresh_sessionmaker: SessionMaker) -> None:
    parked = await came_in(fresh_sessionmaker, "matched later", 9_00)
    nameless = await came_in(fresh_sessionmaker, None, 8_00)
    await left(fresh_sessionmaker, "matched later", 9_00, reverses=parked.id)
    await left(fresh_sessionmaker, "by hand", 8_00, reverses=nameless.id)
    await left(fresh_sessionmaker, "a payout that came back", 7_00)
    await came_in(fresh_sessionmaker, "a payout that came back", 7_00)
    assert (await asha.answer("suspense", "list"))["items"] == []
    await came_in(fresh_sessionmaker, "matched later", 9_00)
    await left(fresh_sessionmaker, "a payout that came back", 7_00, bank="axis")
    answer = await asha.answer("suspense", "list")
    found = [(each["reference"], each["bank"], each["direction"], each["amount"]) for each in answer["items"]]
    assert found == [("matched later", "hdfc", "CREDIT", 9_00), ("a payout that came back", "axis", "DEBIT", 7_00)]
    assert answer["balance"] == await balance(fresh_sessionmaker)


async def test_a_list_is_bounded_and_still_counts_all(asha: Operator, fresh_sessionmaker: SessionMaker) -> None:
    for number in range(3):
        await came_in(fresh_sessionmaker, f"reference {number}", 1_00)
    await left(fresh_sessionmaker, "fee", 2_00, bank="axis")
    answer = await asha.answer("suspense", "list", "--limit", "2")
    assert [each["reference"] for each in answer["items"]] == ["reference 0", "reference 1"]
    assert (answer["count"], answer["came_in"], answer["left"], answer["balance"]) == (4, 3_00, 2_00, 1_00)
    shown = (await asha.run("suspense", "list", "--limit", "2")).output
    assert "4 references, 2 of them not shown: ₹3.00 came in, ₹2.00 left." in shown
    of_axis = await asha.answer("suspense", "list", "--bank", "axis")
    assert ([each["reference"] for each in of_axis["items"]], of_axis["balance"]) == (["fee"], -2_00)
    assert (await asha.run("suspense", "list", "--bank", "none")).exit_code == 2
    assert (await asha.run("suspense", "list", "--limit", "201")).exit_code == 2


async def test_what_was_moved_by_hand_to_no_bank_says_so(
    asha: Operator, fresh_sessionmaker: SessionMaker, alice: Account
) -> None:
    await _post(fresh_sessionmaker, alice.id, system_accounts.SUSPENSE, 3_00, note="the claim", initiated_by=None)
    (item,) = (await asha.answer("suspense", "list"))["items"]
    assert (item["bank"], item["direction"], item["why"]) == (None, "CREDIT", "booked by hand")
