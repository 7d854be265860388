"""What no operator writes of a debit in suspense by SQL: each attempt as the role of who confirms it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import text

from shared.db.engine import SessionMaker
from shared.ids import new_id
from shared.ledger import system_accounts
from shared.models import Account
from shared.proof.prove import prove
from tests.integration.operators.conftest import Operator, money, signed_in
from tests.integration.operators.test_suspense import balance, came_in, left
from tests.integration.operators.test_two_operators import PROPOSE
from tests.support.factories import create_user
from tests.support.service_roles import Call, posting

# Roles are of the whole server: two tests must not make them at the same time.
pytestmark = pytest.mark.xdist_group("database roles")

SUSPENSE, FEES, HDFC = system_accounts.SUSPENSE, system_accounts.FEES, system_accounts.SETTLEMENT["hdfc"]
AMOUNT = 40_00
NO_TRANSFER = "says .* of a parked debit, and no transfer does so"
UNEXPLAINED = "nothing explains transfer"
UNTRUE = f"{UNEXPLAINED}|{NO_TRANSFER}"
NOT_SO = "not every account is open, of the currency, and one that"


@dataclass(frozen=True)
class World:
    """The bank named Alice for `of_alice`, and no one for `fee`. The parked `credit` was taken back by `back`."""

    alice: Account
    bob: Account
    of_alice: UUID
    fee: UUID
    credit: UUID
    back: UUID

    def collecting(self, **changed: Any) -> dict[str, Any]:
        """What a true proposal says."""
        said = {"reference": "of alice", "bank": "hdfc", "amount": AMOUNT, "transfer_id": str(new_id())}
        whose = (self.alice.handle, str(self.alice.owner_id), str(self.alice.id))
        return said | dict(zip(("wallet_id", "owner_id", "account_id"), whose, strict=True)) | changed

    def from_bob(self, **changed: Any) -> dict[str, Any]:
        whose = {"wallet_id": self.bob.handle, "owner_id": str(self.bob.owner_id), "account_id": str(self.bob.id)}
        return self.collecting(**whose | changed)


def moved(said: dict[str, Any], debited: UUID, **changed: Any) -> Call:
    """The one transfer that a true proposal names."""
    values = {"ids": [UUID(said["transfer_id"])], "amounts": [AMOUNT], "the_kind": "adjustment", "the_note": "of alice"}
    return posting(**values | {"the_debited": debited, "the_credited": SUSPENSE} | changed)


@pytest.fixture
async def world(fresh_sessionmaker: SessionMaker, alice: Account) -> World:
    async with fresh_sessionmaker.begin() as session:
        bob = await create_user(session, first_name="Bob", balance=100_00)
    of_alice = await left(fresh_sessionmaker, "of alice", AMOUNT, initiated_by=alice.owner_id)
    fee = await left(fresh_sessionmaker, "fee", AMOUNT)
    credit = await came_in(fresh_sessionmaker, "of alice", AMOUNT, bank="axis")
    back = await left(fresh_sessionmaker, "of alice", AMOUNT, bank="axis", reverses=credit.id)
    return World(alice, bob, of_alice.id, fee.id, credit.id, back.id)


async def confirmed(
    asha: Operator, ravi: Operator, subject: UUID, said: dict[str, Any], *calls: Call, action: str = "collect"
) -> str:
    """Asha proposes this; Ravi confirms it and writes the calls in the same transaction. Answers the error."""
    async with signed_in(asha) as connection:
        row = await connection.fetchrow(PROPOSE, action, subject, json.dumps(said))
    async with signed_in(ravi) as connection:
        try:
            async with connection.transaction():
                await connection.execute("UPDATE operator_actions SET decision = 'confirmed' WHERE id = $1", row["id"])
                for statement, arguments in calls:
                    await connection.execute(statement, *arguments)
        except (asyncpg.CheckViolationError, asyncpg.UniqueViolationError) as error:
            return str(error)
    return "committed"


async def test_what_is_confirmed_is_written_and_nothing_else(
    asha: Operator, ravi: Operator, fresh_sessionmaker: SessionMaker, world: World
) -> None:
    alice, bob, said = world.alice.id, world.bob.id, world.collecting()
    true = moved(said, alice)
    attempts = [
        ("nothing at all", [], NO_TRANSFER),
        ("less", [moved(said, alice, amounts=[AMOUNT - 1])], UNTRUE),
        ("more", [moved(said, alice, amounts=[AMOUNT + 1])], UNTRUE),
        ("from another", [moved(said, bob)], UNTRUE),
        ("from the fees", [moved(said, FEES)], UNTRUE),
        ("from a bank", [moved(said, HDFC)], NOT_SO),
        ("from suspense", [moved(said, SUSPENSE, the_credited=alice)], NOT_SO),
        ("to a bank", [moved(said, alice, the_credited=HDFC)], NOT_SO),
        ("to another", [moved(said, alice, the_credited=bob)], NOT_SO),
        ("another id", [moved(said, alice, ids=[new_id()])], UNTRUE),
        ("twice", [true, moved(said, alice, ids=[new_id()])], UNEXPLAINED),
        ("another note", [moved(said, alice, the_note="mine")], UNTRUE),
        ("in the owner's name", [moved(said, alice, the_initiator=world.alice.owner_id)], UNTRUE),
        ("one more beside it", [true, moved(said, bob, ids=[new_id()])], UNEXPLAINED),
    ]
    wrong = []
    for name, calls, message in attempts:
        error = await confirmed(asha, ravi, world.of_alice, said, *calls)
        if not re.search(message, error):
            wrong.append((name, error))
    assert wrong == []
    assert (await money(fresh_sessionmaker, world.alice), await balance(fresh_sessionmaker)) == ((100_00, 0), -80_00)
    assert await confirmed(asha, ravi, world.of_alice, said, true) == "committed"
    assert (await money(fresh_sessionmaker, world.alice), await balance(fresh_sessionmaker)) == ((60_00, 0), -40_00)


async def test_what_a_proposal_says_is_true_or_is_not_carried_out(
    asha: Operator, ravi: Operator, fresh_sessionmaker: SessionMaker, world: World
) -> None:
    """The operator who confirms has read no more than that."""
    alice, bob = world.alice, world.bob
    lies = [
        ("another amount", world.of_alice, world.collecting(amount=1), alice.id),
        ("another bank", world.of_alice, world.collecting(bank="axis"), alice.id),
        ("another reference", world.of_alice, world.collecting(reference="fee"), alice.id),
        ("another wallet", world.fee, world.from_bob(wallet_id=alice.handle, reference="fee"), bob.id),
        ("another owner", world.fee, world.from_bob(owner_id=str(alice.owner_id), reference="fee"), bob.id),
        ("whom the bank did not name", world.of_alice, world.from_bob(), bob.id),
        ("what took a credit back", world.back, world.collecting(bank="axis"), alice.id),
        ("a credit", world.credit, world.collecting(bank="axis"), alice.id),
        ("the platform's account", world.fee, world.from_bob(account_id=str(FEES), reference="fee"), FEES),
    ]
    wrong = []
    for name, subject, said, debited in lies:
        error = await confirmed(asha, ravi, subject, said, moved(said, debited, the_note=_note(world, subject)))
        if not re.search(UNTRUE, error):
            wrong.append((name, error))
    fee = world.collecting()
    error = await confirmed(asha, ravi, world.of_alice, fee, moved(fee, FEES), action="book_fee")
    assert wrong == []
    assert re.search(UNTRUE, error), error
    assert await balance(fresh_sessionmaker) == -80_00


async def test_an_operator_adjusts_nothing_without_a_confirmation_of_that_transaction(
    asha: Operator, ravi: Operator, world: World
) -> None:
    said = world.collecting()
    async with signed_in(asha) as connection:
        await connection.fetchrow(PROPOSE, "collect", world.of_alice, json.dumps(said))
    for operator in (asha, ravi):
        async with signed_in(operator) as connection:
            for debited in (world.alice.id, FEES):
                statement, arguments = moved(said, debited)
                with pytest.raises(asyncpg.CheckViolationError, match=UNEXPLAINED):
                    await connection.execute(statement, *arguments)


async def test_a_debit_ends_once_whatever_is_confirmed(asha: Operator, ravi: Operator, world: World) -> None:
    said = world.collecting()
    assert await confirmed(asha, ravi, world.of_alice, said, moved(said, world.alice.id)) == "committed"
    again = world.collecting()
    error = await confirmed(asha, ravi, world.of_alice, again, moved(again, world.alice.id))
    assert "uq_operator_actions_parked_debit" in error


async def test_an_action_that_lost_its_transfer_is_found_by_the_proof(
    asha: Operator, ravi: Operator, fresh_sessionmaker: SessionMaker, world: World
) -> None:
    said = world.collecting()
    assert await confirmed(asha, ravi, world.of_alice, said, moved(said, world.alice.id)) == "committed"
    assert (await prove(fresh_sessionmaker)).ok
    async with fresh_sessionmaker.begin() as session:
        await session.execute(text("SET LOCAL session_replication_role = replica"))
        change = (
            "UPDATE operator_actions SET arguments = arguments || jsonb_build_object('transfer_id', gen_random_uuid())"
        )
        await session.execute(text(change))
    failed = [check.name for check in (await prove(fresh_sessionmaker)).failed]
    assert failed == ["every debit in suspense that operators ended has its one transfer"]


def _note(world: World, subject: UUID) -> str:
    return "fee" if subject == world.fee else "of alice"
