"""What lets money move needs two operators. The command says so, and the database sees to it by itself."""

from __future__ import annotations

import asyncio
import json
from uuid import UUID

import asyncpg
import pytest
from pydantic import SecretStr
from sqlalchemy import select

from shared.config import DatabaseSettings
from shared.db.engine import SessionMaker, create_engine, create_sessionmaker
from shared.ids import new_id
from shared.models import Account, AuditEvent, Withdrawal
from shared.operators import effects
from shared.operators.errors import ProposalDecided
from tests.integration.operators.conftest import REASON, Operator, kept, money, proposed, signed_in
from tests.support.bank_flows import create_withdrawal
from tests.support.bank_notices import create_on_ramp
from tests.support.service_roles import posting

# Roles are of the whole server: two tests must not make them at the same time.
pytestmark = pytest.mark.xdist_group("database roles")


async def status(sessionmaker: SessionMaker, withdrawal_id: UUID) -> str:
    async with sessionmaker() as session:
        return (await session.get_one(Withdrawal, withdrawal_id)).status


@pytest.mark.parametrize(
    ("decision", "ends", "left"),
    [(("--paid", "--utr", "UTR9"), "succeeded", (70_00, 0)), (("--failed",), "failed", (100_00, 0))],
)
async def test_one_proposes_and_another_confirms(
    *,
    asha: Operator,
    ravi: Operator,
    fresh_sessionmaker: SessionMaker,
    alice: Account,
    under_review: UUID,
    decision: tuple[str, ...],
    ends: str,
    left: tuple[int, int],
) -> None:
    proposal = await proposed(asha, "withdrawals", "resolve", str(under_review), *REASON, *decision)
    assert await status(fresh_sessionmaker, under_review) == "needs_review"
    own = await asha.run("proposals", "confirm", proposal, "--yes")
    assert (own.exit_code, "own_proposal" in own.output) == (1, True)
    assert await money(fresh_sessionmaker, alice) == (100_00, 30_00)

    listed = await ravi.run("proposals", "list")
    assert f"end withdrawal {under_review} as" in listed.output
    assert f"proposed by {asha.name}" in listed.output
    done = await ravi.run("proposals", "confirm", proposal, text="y\n")
    assert (done.exit_code, f"It is {ends}." in done.output) == (0, True), done.output
    assert (await status(fresh_sessionmaker, under_review), await money(fresh_sessionmaker, alice)) == (ends, left)

    again = await ravi.run("proposals", "confirm", proposal, "--yes")
    assert (again.exit_code, "proposal_decided" in again.output) == (1, True)
    shown = await asha.answer("withdrawals", "show", str(under_review))
    (action,) = shown["operators"]
    assert (action["proposed_by"], action["decided_by"], action["outcome"]) == (asha.name, ravi.name, ends)
    async with fresh_sessionmaker() as session:
        lines = list(await session.scalars(select(AuditEvent).where(AuditEvent.what.like("% resolve"))))
    assert [(line.what, (line.operator or "").split(" ")[0]) for line in lines] == [
        ("propose resolve", asha.name),
        ("confirm resolve", ravi.name),
    ]
    assert "123456789012" not in json.dumps(shown) + listed.output + done.output


async def test_an_operator_who_does_not_agree_declines_and_nothing_happens(
    asha: Operator, ravi: Operator, fresh_sessionmaker: SessionMaker, under_review: UUID
) -> None:
    proposal = await proposed(asha, "withdrawals", "resolve", str(under_review), *REASON, "--failed")
    refused = await ravi.run("proposals", "confirm", proposal, text="n\n")
    assert refused.exit_code == 1
    assert (await ravi.answer("proposals", "show", proposal))["state"] == "open"
    assert (await ravi.answer("proposals", "decline", proposal))["state"] == "declined"
    late = await ravi.run("proposals", "confirm", proposal, "--yes")
    assert (late.exit_code, "proposal_decided" in late.output) == (1, True)
    assert await status(fresh_sessionmaker, under_review) == "needs_review"


async def test_a_proposal_expires(
    asha: Operator,
    ravi: Operator,
    administrator: Operator,
    fresh_sessionmaker: SessionMaker,
    under_review: UUID,
) -> None:
    proposal = await proposed(asha, "withdrawals", "resolve", str(under_review), *REASON, "--failed")
    async with signed_in(administrator) as connection:
        await connection.execute("ALTER TABLE operator_actions DISABLE TRIGGER keep_operator_action")
        await connection.execute("UPDATE operator_actions SET expires_at = now() - interval '1 second'")
        await connection.execute("ALTER TABLE operator_actions ENABLE TRIGGER keep_operator_action")
    assert (await ravi.answer("proposals", "list"))["proposals"] == []
    late = await ravi.run("proposals", "confirm", proposal, "--yes")
    assert (late.exit_code, "is expired" in late.output) == (1, True)
    async with signed_in(ravi) as connection:
        with pytest.raises(asyncpg.RestrictViolationError):
            await connection.execute("UPDATE operator_actions SET decision = 'confirmed'")
    assert await status(fresh_sessionmaker, under_review) == "needs_review"


async def test_who_is_no_operator_proposes_nothing(administrator: Operator, under_review: UUID) -> None:
    refused = await administrator.run("withdrawals", "resolve", str(under_review), *REASON, "--failed")
    assert (refused.exit_code, "not_an_operator" in refused.output) == (1, True)


async def test_of_two_who_confirm_at_once_one_does(
    asha: Operator,
    ravi: Operator,
    fresh_sessionmaker: SessionMaker,
    alice: Account,
    under_review: UUID,
) -> None:
    proposal = await proposed(asha, "withdrawals", "resolve", str(under_review), *REASON, "--paid", "--utr", "U1")
    engine = create_engine(DatabaseSettings(database_url=SecretStr(ravi.database_url)), application_name="tests")
    of_ravi = create_sessionmaker(engine)

    async def confirm() -> str:
        try:
            async with of_ravi.begin() as session:
                return str((await effects.confirm(session, UUID(proposal))).outcome)
        except ProposalDecided as error:
            return error.code

    ended = await asyncio.gather(*(confirm() for _ in range(4)))
    await engine.dispose()
    assert sorted(ended) == ["proposal_decided"] * 3 + ["succeeded"]
    assert await money(fresh_sessionmaker, alice) == (70_00, 0)


async def test_a_freeze_needs_one_operator_and_its_end_needs_two(
    asha: Operator, ravi: Operator, fresh_sessionmaker: SessionMaker, alice: Account
) -> None:
    assert alice.handle is not None
    frozen = await asha.answer("freeze", alice.handle, *REASON)
    assert frozen["is_frozen"] is True
    proposal = await proposed(asha, "unfreeze", alice.handle, *REASON)
    async with fresh_sessionmaker() as session:
        assert (await session.get_one(Account, alice.id)).frozen_at is not None
    assert (await ravi.answer("proposals", "confirm", proposal, "--yes"))["outcome"] == "unfrozen"
    async with fresh_sessionmaker() as session:
        assert (await session.get_one(Account, alice.id)).frozen_at is None
    refused = await asha.run("unfreeze", alice.handle, *REASON)
    assert (refused.exit_code, "not_frozen" in refused.output) == (1, True)


async def test_a_parked_withdrawal_stays_and_is_resolved_by_two(
    asha: Operator, ravi: Operator, fresh_sessionmaker: SessionMaker, alice: Account
) -> None:
    async with fresh_sessionmaker.begin() as session:
        queued = (await create_withdrawal(session, alice, 10_00, status="queued")).id
        behind = (await create_withdrawal(session, alice, 20_00, status="queued")).id
    parked = await asha.answer("withdrawals", "park", str(queued), *REASON)
    assert parked["status"] == await status(fresh_sessionmaker, queued) == "needs_review"
    for one in (queued, behind):
        refused = await asha.run("withdrawals", "park", str(one), *REASON)
        assert (refused.exit_code, "not_to_park" in refused.output) == (1, True)
    assert (await asha.answer("withdrawals", "show", str(queued)))["timeline"][-1]["kind"] == "needs_review"
    proposal = await proposed(asha, "withdrawals", "resolve", str(queued), *REASON, "--failed")
    await ravi.answer("proposals", "confirm", proposal, "--yes")
    assert await status(fresh_sessionmaker, queued) == "failed"
    assert await money(fresh_sessionmaker, alice) == (100_00, 20_00)


async def test_a_delivery_is_judged_again_by_two(
    asha: Operator, ravi: Operator, fresh_sessionmaker: SessionMaker, alice: Account
) -> None:
    async with fresh_sessionmaker.begin() as session:
        on_ramp = await create_on_ramp(session, alice, amount=50_00)
        assert on_ramp.token is not None
    delivery = await kept(fresh_sessionmaker, on_ramp)
    (listed,) = (await asha.answer("webhooks", "list", "--verdict", "unknown_token"))["deliveries"]
    assert (listed["id"], listed["notice"]["amount"]) == (str(delivery), 50_00)
    proposal = await proposed(asha, "webhooks", "replay", str(delivery), *REASON)
    assert await money(fresh_sessionmaker, alice) == (100_00, 0)
    assert (await ravi.answer("proposals", "confirm", proposal, "--yes"))["outcome"] == "settled"
    assert await money(fresh_sessionmaker, alice) == (150_00, 0)
    shown = await ravi.run("webhooks", "show", str(delivery))
    assert "settled" in shown.output
    assert on_ramp.token not in shown.output + json.dumps(listed)
    refused = await asha.run("webhooks", "replay", str(delivery), *REASON)
    assert (refused.exit_code, "delivery_done" in refused.output) == (1, True)


async def test_a_confirmed_proposal_that_cannot_be_carried_out_stays_open(
    asha: Operator, ravi: Operator, fresh_sessionmaker: SessionMaker, under_review: UUID
) -> None:
    proposal = await proposed(asha, "withdrawals", "resolve", str(under_review), *REASON, "--failed")
    another = await proposed(asha, "withdrawals", "resolve", str(under_review), *REASON, "--paid", "--utr", "U")
    await ravi.answer("proposals", "confirm", another, "--yes")
    refused = await ravi.run("proposals", "confirm", proposal, "--yes")
    assert (refused.exit_code, "not_under_review" in refused.output) == (1, True)
    assert (await ravi.answer("proposals", "show", proposal))["state"] == "open"
    assert await status(fresh_sessionmaker, under_review) == "succeeded"


PROPOSE = """
    INSERT INTO operator_actions (id, action, subject_id, arguments, reason, proposed_by, proposed_at)
    VALUES (gen_random_uuid(), $1, $2, $3::jsonb, 'by hand', 'ravi', now()) RETURNING id, proposed_by, done_in
"""


async def test_no_operator_gets_past_the_other_by_writing_sql(
    asha: Operator, ravi: Operator, fresh_sessionmaker: SessionMaker, alice: Account, under_review: UUID
) -> None:
    """Each attempt as the operator's own role, without the command."""
    async with fresh_sessionmaker.begin() as session:
        pending = await create_on_ramp(session, alice, amount=50_00)
    await asha.answer("freeze", str(alice.owner_id), *REASON)
    ended = "UPDATE withdrawals SET status = $2, finished_at = now() WHERE id = $1"
    credit = posting(
        ids=[new_id()],
        amounts=[10],
        the_kind="funding",
        the_debited=UUID("00000000-0000-7000-8000-000000000001"),
        the_credited=alice.id,
    )
    async with signed_in(asha) as connection:
        row = await connection.fetchrow(PROPOSE, "resolve", under_review, '{"decision": "paid"}')
        assert (row["proposed_by"], row["done_in"]) == (asha.name, None), "the database says who proposes"
        for statement, *arguments in (
            (ended, under_review, "failed"),
            ("UPDATE accounts SET frozen_at = NULL WHERE id = $1", alice.id),
            ("UPDATE accounts SET balance = balance + 1 WHERE id = $1", alice.id),
            ("UPDATE on_ramps SET status = 'failure', settled_at = now() WHERE id = $1", pending.id),
            ("UPDATE operator_actions SET decision = 'confirmed' WHERE id = $1", row["id"]),
            ("UPDATE operator_actions SET decided_by = 'ravi' WHERE id = $1", row["id"]),
            ("DELETE FROM operator_actions WHERE id = $1", row["id"]),
            (credit[0], *credit[1]),
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement, *arguments)
    async with signed_in(ravi) as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("UPDATE operator_actions SET decision = 'confirmed' WHERE id = $1", row["id"])
        with pytest.raises(asyncpg.InsufficientPrivilegeError):  # confirmed is another end
            await connection.execute(ended, under_review, "failed")
        await transaction.rollback()
        await connection.execute("UPDATE operator_actions SET decision = 'confirmed' WHERE id = $1", row["id"])
        with pytest.raises(asyncpg.InsufficientPrivilegeError):  # in another transaction than that of the confirmation
            await connection.execute(ended, under_review, "failed")
    assert await status(fresh_sessionmaker, under_review) == "needs_review"
    assert await money(fresh_sessionmaker, alice) == (100_00, 30_00)


async def test_an_operators_line_in_the_audit_trail_has_the_operators_name(
    asha: Operator, fresh_sessionmaker: SessionMaker
) -> None:
    line = """
        INSERT INTO audit_events (id, kind, what, operator, count, first_at, last_at, facts)
        VALUES (gen_random_uuid(), $1, 'forged', $2, 1, now(), now(), '{}')
    """
    async with signed_in(asha) as connection:
        await connection.execute(line, "sign_in_succeeded", None)
        await connection.execute(line, "operator_command", "ravi (root@host)")
    async with fresh_sessionmaker() as session:
        lines = list(await session.scalars(select(AuditEvent).where(AuditEvent.what == "forged")))
    assert {(each.kind, (each.operator or "").split(" ")[0]) for each in lines} == {("operator_command", asha.name)}


@pytest.mark.parametrize(
    "secret",
    [
        "password_hash FROM owners",
        "pin_hash FROM owners",
        "sealed_secret FROM second_factors",
        "token_hash FROM email_confirmations",
        "facts FROM outbox_messages",
        "newest FROM mails",
        "body FROM idempotency_keys",
        "id FROM revoked_tokens",
    ],
)
async def test_an_operator_reads_no_secret(asha: Operator, secret: str) -> None:
    async with signed_in(asha) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetch(f"SELECT {secret}")


async def test_who_is_removed_acts_no_longer(asha: Operator, administrator: Operator, under_review: UUID) -> None:
    taken = await administrator.run("operators", "add", asha.name)
    assert (taken.exit_code, "is taken" in taken.output) == (1, True)
    assert asha.name in (await administrator.run("operators", "list")).output
    assert (await administrator.run("operators", "remove", asha.name)).exit_code == 0
    refused = await asha.run("withdrawals", "resolve", str(under_review), *REASON, "--failed")
    assert refused.exit_code == 1
    assert (await administrator.run("operators", "remove", asha.name)).exit_code == 1


async def test_an_operator_changes_the_first_password(asha: Operator) -> None:
    new = "correct horse battery"
    assert (await asha.run("operators", "change-password", text="short\nshort\n")).exit_code == 2
    changed = await asha.run("operators", "change-password", "--json", text=f"{new}\n{new}\n")
    assert json.loads(changed.stdout) == {"operator": asha.name}
    assert (changed.exit_code, new in changed.output) == (0, False), changed.output
    assert (await asha.run("proposals", "list")).exit_code == 1, "the first one works no longer"
