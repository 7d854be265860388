"""Who confirms a replay writes what the bank's notice says, and nothing else: the database sees to it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import asyncpg
import pytest

from shared import clock
from shared.db.engine import SessionMaker
from shared.ids import new_id
from shared.ledger import system_accounts
from shared.models import Account, OnRamp, WebhookDelivery, Withdrawal
from shared.models.webhook_delivery import Verdict
from tests.integration.operators.conftest import REASON, Operator, kept, money, proposed, signed_in
from tests.support.bank_notices import create_on_ramp
from tests.support.service_roles import Call, posting

# Roles are of the whole server: two tests must not make them at the same time.
pytestmark = pytest.mark.xdist_group("database roles")

CONFIRM = "UPDATE operator_actions SET decision = 'confirmed' WHERE id = $1"


async def confirm_by_sql(operator: Operator, proposal: str, *calls: Call) -> None:
    """Confirm it without the command, and do something in the same transaction."""
    async with signed_in(operator) as connection, connection.transaction():
        await connection.execute(CONFIRM, UUID(proposal))
        for statement, arguments in calls:
            await connection.execute(statement, *arguments)


def settled_as_paid(on_ramp: OnRamp) -> list[Call]:
    """A credit of the whole on-ramp, as its flow writes it."""
    transfer_id = new_id()
    credit = posting(
        ids=[transfer_id],
        amounts=[on_ramp.amount],
        the_kind="onramp",
        the_debited=system_accounts.SETTLEMENT[on_ramp.bank],
        the_credited=on_ramp.account_id,
    )
    row = "UPDATE on_ramps SET status = 'success', transfer_id = $2, settled_at = now() WHERE id = $1"
    return [credit, (row, (on_ramp.id, transfer_id))]


@pytest.mark.parametrize(
    "said",
    [{"event": "failure"}, {"amount": 49_99}, {"user_id": str(new_id())}],
    ids=["declined", "another amount", "another person"],
)
async def test_who_confirms_a_replay_credits_only_what_the_bank_says_is_paid(
    asha: Operator, ravi: Operator, fresh_sessionmaker: SessionMaker, alice: Account, said: dict[str, Any]
) -> None:
    """Asha proposes a harmless notice; Ravi confirms it by SQL, and credits the on-ramp in the same transaction."""
    async with fresh_sessionmaker.begin() as session:
        on_ramp = await create_on_ramp(session, alice, amount=50_00)
    proposal = await proposed(asha, "webhooks", "replay", str(await kept(fresh_sessionmaker, on_ramp, **said)), *REASON)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="only as an action says"):
        await confirm_by_sql(ravi, proposal, *settled_as_paid(on_ramp))
    assert await money(fresh_sessionmaker, alice) == (100_00, 0)


@pytest.mark.parametrize("said", [{"event": "success"}, {"event": "failure", "amount": 29_99}])
async def test_who_confirms_a_replay_releases_no_money_that_the_bank_has_paid(
    *,
    asha: Operator,
    ravi: Operator,
    fresh_sessionmaker: SessionMaker,
    alice: Account,
    under_review: UUID,
    said: dict[str, Any],
) -> None:
    async with fresh_sessionmaker.begin() as session:
        withdrawal = await session.get_one(Withdrawal, under_review)
        notice = {"bank": withdrawal.bank, "reference": str(under_review), "utr": "U1", "amount": 30_00, "reason": None}
        delivery = WebhookDelivery(
            id=new_id(),
            bank=withdrawal.bank,
            webhook_id=f"msg_{new_id()}",
            payload=notice | said,
            verdict=Verdict.UNKNOWN_REFERENCE,
            received_at=clock.now(),
        )
        session.add(delivery)
    proposal = await proposed(asha, "webhooks", "replay", str(delivery.id), *REASON)
    failed: Call = ("UPDATE withdrawals SET status = 'failed', finished_at = now() WHERE id = $1", (under_review,))
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="only as an action says"):
        await confirm_by_sql(ravi, proposal, posting(released=[withdrawal.hold_id]), failed)
    assert await money(fresh_sessionmaker, alice) == (100_00, 30_00)
    # The command does what the notice says.
    assert (await ravi.run("proposals", "confirm", proposal, "--yes")).exit_code == 0
    left = (70_00, 0) if said["event"] == "success" else (100_00, 30_00)
    assert await money(fresh_sessionmaker, alice) == left
