"""`batua status`, `find`, `withdrawals`, `webhooks`, as an operator runs them: all that is asked for, and no secret."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from shared import clock
from shared.audit.kinds import Kind
from shared.db.engine import SessionMaker
from shared.ids import new_id
from shared.ledger import freezing
from shared.ledger.post import post_one
from shared.ledger.rules import Transfer
from shared.models import Account, AuditEvent, BankCircuit, Owner, ProofRun, Recovery, Withdrawal
from tests.integration.operators.conftest import Operator, run_batua
from tests.support.bank_flows import create_withdrawal
from tests.support.bank_notices import create_on_ramp
from tests.support.factories import create_merchant, create_user

# Roles are of the whole server: two tests must not make them at the same time.
pytestmark = pytest.mark.xdist_group("database roles")

NUMBER = "123456789012"
HASH = "$2b$12$a-hash-that-is-a-secret"


@pytest.fixture
async def alice(fresh_sessionmaker: SessionMaker) -> Account:
    async with fresh_sessionmaker.begin() as session:
        return await create_user(session, first_name="Alice", balance=100_00, password_hash=HASH, pin_hash=HASH)


async def everything(asha: Operator, name: str) -> list[dict[str, Any]]:
    answer = await asha.answer("find", name)
    text = (await asha.run("find", name)).output
    for secret in (NUMBER, HASH):
        assert secret not in json.dumps(answer) + text
    return list(answer["found"])


async def test_a_person_is_found_by_wallet_id_email_and_id_with_what_belongs_to_them(
    asha: Operator, fresh_sessionmaker: SessionMaker, alice: Account
) -> None:
    async with fresh_sessionmaker.begin() as session:
        shop = await create_merchant(session, business_name="Chai Point")
        payment = Transfer(new_id(), "payment", alice.id, shop.id, 3_00, note="chai", initiated_by=alice.owner_id)
        await post_one(session, payment)
        withdrawal = await create_withdrawal(session, alice, 10_00, status="queued")
        on_ramp = await create_on_ramp(session, alice, amount=5_00)
        email = (await session.get_one(Owner, alice.owner_id)).email
    assert alice.handle is not None
    await asha.answer("freeze", alice.handle, "--reason", "stolen phone")
    for name in (alice.handle, alice.handle.upper(), email, str(alice.owner_id)):
        (found,) = await everything(asha, name)
        assert (found["type"], found["wallet_id"], found["name"]) == ("owner", alice.handle, "Alice Rao")
        assert found["frozen_at"] is not None
        assert found["accounts"][0]["balance"] == 97_00
        assert [each["id"] for each in found["newest_withdrawals"]] == [str(withdrawal.id)]
        assert found["newest_withdrawals"][0]["account_number"] == "XXXXXX9012"
        assert [each["id"] for each in found["newest_on_ramps"]] == [str(on_ramp.id)]
        assert found["newest_transfers"][0]["to"]["name"] == "Chai Point"
        assert found["operators"][0]["reason"] == "stolen phone"
        assert found["newest_events"][0]["operator"].startswith(asha.name)

    (moved,) = await everything(asha, str(payment.id))
    assert (moved["type"], moved["kind"], moved["amount"], moved["note"]) == ("transfer", "payment", 3_00, "chai")
    assert {each["balance_after"] for each in moved["entries"]} == {97_00, 3_00}
    (of_account,) = await everything(asha, str(alice.id))
    assert (of_account["type"], of_account["owner_id"]) == ("account", str(alice.owner_id))


async def test_a_utr_a_reference_a_notice_and_a_request_lead_to_what_they_name(
    asha: Operator, fresh_sessionmaker: SessionMaker, alice: Account
) -> None:
    async with fresh_sessionmaker.begin() as session:
        withdrawal = await create_withdrawal(session, alice, 10_00)
        await session.execute(update(Withdrawal).values(utr="UTR42"))
        on_ramp = await create_on_ramp(session, alice, amount=5_00)
        on_ramp.bank_reference = "REF42"
        event = {"kind": Kind.SIGN_IN_FAILED, "count": 1, "first_at": clock.now(), "last_at": clock.now(), "facts": {}}
        session.add(AuditEvent(id=new_id(), owner_id=alice.owner_id, request_id="req-42", **event))
    (paid,) = await everything(asha, "UTR42")
    assert (paid["type"], paid["id"]) == ("withdrawal", str(withdrawal.id))
    (received,) = await everything(asha, "REF42")
    assert (received["type"], received["id"]) == ("on_ramp", str(on_ramp.id))
    assert str(on_ramp.token) not in json.dumps(received)
    (requested,) = await everything(asha, "req-42")
    assert (requested["type"], requested["kind"]) == ("event", "sign_in_failed")
    by_transfer = await everything(asha, str(withdrawal.transfer_id))
    assert by_transfer[0]["withdrawal_id"] == str(withdrawal.id)


async def test_what_is_not_there_is_not_found(asha: Operator) -> None:
    for name in ("missing@batua", str(new_id())):
        nothing = await asha.run("find", name)
        assert (nothing.exit_code, f"Nothing is known as {name}." in nothing.output) == (1, True)
        as_json = await asha.run("find", name, "--json")
        assert (as_json.exit_code, json.loads(as_json.stdout)) == (1, {"found": []})


async def test_withdrawals_are_listed_by_status_and_owner(
    asha: Operator, fresh_sessionmaker: SessionMaker, alice: Account
) -> None:
    async with fresh_sessionmaker.begin() as session:
        bob = await create_user(session, balance=100_00)
        ended = await create_withdrawal(session, alice, 1_00)
        queued = await create_withdrawal(session, bob, 2_00, status="queued")
    listed = await asha.answer("withdrawals", "list")
    assert [each["id"] for each in listed["withdrawals"]] == [str(queued.id), str(ended.id)]
    (of_status,) = (await asha.answer("withdrawals", "list", "--status", "queued"))["withdrawals"]
    assert of_status["id"] == str(queued.id)
    assert alice.handle is not None
    (of_owner,) = (await asha.answer("withdrawals", "list", "--owner", alice.handle))["withdrawals"]
    assert of_owner["id"] == str(ended.id)
    line = (await asha.run("withdrawals", "list", "--status", "queued")).output
    assert f"{queued.id}  queued  hdfc  XXXXXX9012  ₹2.00" in line
    assert (await asha.run("withdrawals", "show", str(new_id()))).exit_code == 1


async def test_the_status_names_what_a_person_should_look_at(
    asha: Operator, fresh_sessionmaker: SessionMaker, alice: Account
) -> None:
    seen = json.loads((await asha.run("status", "--json")).stdout)
    assert seen["attention"] == [
        "No withdraw_worker is connected: no payout and no mail leaves.",
        "No scheduler is at work: no regular task is sent.",
    ]
    async with fresh_sessionmaker.begin() as session:
        await create_withdrawal(session, alice, 1_00, status="needs_review")
        await create_withdrawal(session, alice, 2_00, status="queued")
        until = clock.now() + timedelta(minutes=5)
        session.add(BankCircuit(bank="axis", failures=5, open_until=until, changed_at=clock.now()))
        failed = {"result": "failed", "findings": [{"rule": "a balance is its entries", "rows": []}]}
        at = clock.now()
        session.add(ProofRun(id=new_id(), kind="quick", started_at=at, finished_at=at, **failed))
    looked = await asha.run("status")
    assert looked.exit_code == 1, looked.output
    for words in (
        "withdrawals queued",
        "₹2.00",
        "hdfc closed, axis open",
        "FAILED",
        "! No payout leaves, because a proof failed (a balance is its entries): run batua prove.",
        "! 1 withdrawals need review",
        "! The circuit of axis is open: its payouts wait.",
    ):
        assert words in looked.output
    async with fresh_sessionmaker.begin() as session:
        session.add(Recovery(id=new_id(), restored_to=clock.now(), begun_at=clock.now()))
    seen = json.loads((await asha.run("status", "--json")).stdout)
    assert "No payout leaves, because a recovery is unfinished: go on with batua recovery settle." in seen["attention"]
    assert {each["status"]: each["amount"] for each in seen["withdrawals"]} == {"needs_review": 1_00, "queued": 2_00}


async def test_the_status_calls_no_withdrawal_late_that_its_own_owner_holds_up(
    asha: Operator, fresh_sessionmaker: SessionMaker, alice: Account
) -> None:
    async with fresh_sessionmaker.begin() as session:
        frozen, bob = await create_user(session, balance=100_00), await create_user(session, balance=100_00)
        await create_withdrawal(session, alice, 1_00, status="needs_review")
        for wallet in (alice, frozen):
            await create_withdrawal(session, wallet, 2_00, status="queued")
        assert frozen.owner_id is not None
        await freezing.freeze(session, frozen.owner_id)
        an_hour_ago = clock.now() - timedelta(hours=1)
        await session.execute(update(Withdrawal).values(created_at=an_hour_ago))
    seen = json.loads((await asha.run("status", "--json")).stdout)
    assert not [sentence for sentence in seen["attention"] if "in the queue" in sentence]
    (queued,) = [each for each in seen["withdrawals"] if each["status"] == "queued"]
    assert queued == {"status": "queued", "count": 2, "amount": 4_00, "oldest_at": None}
    async with fresh_sessionmaker.begin() as session:
        withdrawal = await create_withdrawal(session, bob, 3_00, status="queued", bank="axis")
        withdrawal.created_at = an_hour_ago
    seen = json.loads((await asha.run("status", "--json")).stdout)
    (late,) = [sentence for sentence in seen["attention"] if "in the queue" in sentence]
    assert late == f"The oldest withdrawal in the queue waits since {an_hour_ago:%Y-%m-%d %H:%M} UTC."
    (queued,) = [each for each in seen["withdrawals"] if each["status"] == "queued"]
    assert (queued["count"], queued["amount"]) == (3, 7_00)


async def test_a_status_that_cannot_be_known_exits_2(asha: Operator) -> None:
    away = await run_batua("postgresql://batua:x@127.0.0.1:9/batua", asha.home, "status")
    assert (away.exit_code, "cannot be reached" in away.output) == (2, True)
