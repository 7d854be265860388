"""`batua suspense collect` and `book-fee`: a debit leaves suspense once, by two operators, and the books hold."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from shared.config import DatabaseSettings
from shared.db.engine import SessionMaker, create_engine, create_sessionmaker
from shared.errors import BatuaError
from shared.ids import new_id
from shared.ledger import freezing, system_accounts
from shared.ledger.post import post_one
from shared.ledger.rules import PlaceHold, ReleaseHold
from shared.models import Account, AuditEvent, Transfer
from shared.operators import effects
from shared.proof.prove import prove
from tests.integration.operators.conftest import REASON, Operator, money, proposed
from tests.integration.operators.test_suspense import balance, came_in, left
from tests.support.archive_world import old_world
from tests.support.bank_flows import create_withdrawal
from tests.support.bank_notices import create_on_ramp
from tests.support.factories import create_user, fund

# Roles are of the whole server: two tests must not make them at the same time.
pytestmark = pytest.mark.xdist_group("database roles")

REFERENCE = "a payout of October"


@pytest.fixture(autouse=True)
async def proven(fresh_sessionmaker: SessionMaker) -> AsyncIterator[None]:
    """Whatever a test does, the books hold at its end."""
    yield
    report = await prove(fresh_sessionmaker)
    assert report.ok, report.failed


async def parked(
    sessionmaker: SessionMaker, owner: Account | None, amount: int = 40_00, reference: str = REFERENCE
) -> str:
    """A debit in suspense of whom the bank named, if any; answers the transfer that parked it."""
    return str((await left(sessionmaker, reference, amount, initiated_by=owner and owner.owner_id)).id)


async def fees(sessionmaker: SessionMaker) -> int:
    async with sessionmaker() as session:
        return (await session.get_one(Account, system_accounts.FEES)).balance


async def refused(operator: Operator, *arguments: str) -> str:
    """What the operator reads of a command that changes nothing."""
    ran = await operator.run(*arguments)
    assert ran.exit_code == 1, ran.output
    return " ".join(ran.output.split())


async def test_one_proposes_another_confirms_and_the_owner_has_paid(
    asha: Operator, ravi: Operator, fresh_sessionmaker: SessionMaker, alice: Account
) -> None:
    by = await parked(fresh_sessionmaker, alice)
    proposal = await proposed(asha, "suspense", "collect", REFERENCE, *REASON)
    assert (await money(fresh_sessionmaker, alice), await balance(fresh_sessionmaker)) == ((100_00, 0), -40_00)
    assert "own_proposal" in await refused(asha, "proposals", "confirm", proposal, "--yes")
    read = await ravi.run("proposals", "show", proposal)
    assert f"collect ₹40.00 of {REFERENCE} at hdfc from {alice.handle}" in read.output

    done = await ravi.run("proposals", "confirm", proposal, "--yes")
    assert (done.exit_code, "It is collected." in done.output) == (0, True), done.output
    assert (await money(fresh_sessionmaker, alice), await balance(fresh_sessionmaker)) == ((60_00, 0), 0)
    assert (await asha.answer("suspense", "list"))["items"] == []
    async with fresh_sessionmaker() as session:
        (moved,) = await session.scalars(select(Transfer).where(Transfer.credit_account_id == system_accounts.SUSPENSE))
        lines = list(await session.scalars(select(AuditEvent).where(AuditEvent.what.like("% collect"))))
    assert (moved.kind, moved.debit_account_id, moved.amount, moved.note) == ("adjustment", alice.id, 40_00, REFERENCE)
    assert [(line.what, (line.operator or "").split(" ")[0], line.owner_id) for line in lines] == [
        ("propose collect", asha.name, alice.owner_id),
        ("confirm collect", ravi.name, alice.owner_id),
    ]
    (found,) = (await asha.answer("find", by))["found"]
    assert [each["outcome"] for each in found["operators"]] == ["collected"]


async def test_what_is_done_is_not_done_again(
    asha: Operator, ravi: Operator, fresh_sessionmaker: SessionMaker, alice: Account
) -> None:
    by = await parked(fresh_sessionmaker, alice)
    first, second = [await proposed(asha, "suspense", "collect", name, *REASON) for name in (REFERENCE, by)]
    await ravi.answer("proposals", "confirm", first, "--yes")
    assert "proposal_decided" in await refused(ravi, "proposals", "confirm", first, "--yes")
    assert "parked_debit_ended" in await refused(ravi, "proposals", "confirm", second, "--yes")
    assert first in await refused(asha, "suspense", "collect", REFERENCE, *REASON)
    assert first in await refused(asha, "suspense", "book-fee", by, *REASON)
    assert (await ravi.answer("proposals", "decline", second))["state"] == "declined"
    assert (await money(fresh_sessionmaker, alice), await balance(fresh_sessionmaker)) == ((60_00, 0), 0)


async def test_of_many_who_confirm_at_once_one_collects(
    asha: Operator, ravi: Operator, fresh_sessionmaker: SessionMaker, alice: Account
) -> None:
    await parked(fresh_sessionmaker, alice)
    proposals = [await proposed(asha, "suspense", "collect", REFERENCE, *REASON) for _ in range(2)]
    engine = create_engine(DatabaseSettings(database_url=SecretStr(ravi.database_url)), application_name="tests")
    of_ravi = create_sessionmaker(engine)

    async def confirm(proposal: str) -> str:
        try:
            async with of_ravi.begin() as session:
                return str((await effects.confirm(session, UUID(proposal))).outcome)
        except BatuaError as error:
            return error.code

    ended = await asyncio.gather(*(confirm(proposal) for proposal in proposals * 2))
    await engine.dispose()
    assert sorted(ended) == ["collected", "parked_debit_ended", "parked_debit_ended", "proposal_decided"]
    assert (await money(fresh_sessionmaker, alice), await balance(fresh_sessionmaker)) == ((60_00, 0), 0)


async def test_a_crash_before_the_commit_leaves_the_proposal_and_the_money(
    asha: Operator, ravi: Operator, fresh_sessionmaker: SessionMaker, alice: Account
) -> None:
    await parked(fresh_sessionmaker, alice)
    proposal = await proposed(asha, "suspense", "collect", REFERENCE, *REASON)
    engine = create_engine(DatabaseSettings(database_url=SecretStr(ravi.database_url)), application_name="tests")
    session = create_sessionmaker(engine)()
    assert (await effects.confirm(session, UUID(proposal))).outcome == "collected"
    connection = await (await session.connection()).get_raw_connection()
    connection.driver_connection.terminate()  # type: ignore[union-attr]  # asyncpg's
    await session.invalidate()
    await engine.dispose()
    assert (await ravi.answer("proposals", "show", proposal))["state"] == "open"
    assert (await money(fresh_sessionmaker, alice), await balance(fresh_sessionmaker)) == ((100_00, 0), -40_00)
    await ravi.answer("proposals", "confirm", proposal, "--yes")
    assert (await money(fresh_sessionmaker, alice), await balance(fresh_sessionmaker)) == ((60_00, 0), 0)


async def test_nothing_is_taken_from_an_owner_who_is_frozen(
    asha: Operator, ravi: Operator, fresh_sessionmaker: SessionMaker, alice: Account
) -> None:
    await parked(fresh_sessionmaker, alice)
    proposal = await proposed(asha, "suspense", "collect", REFERENCE, *REASON)
    await asha.answer("freeze", str(alice.owner_id), *REASON)
    for arguments in (("proposals", "confirm", proposal, "--yes"), ("suspense", "collect", REFERENCE, *REASON)):
        words = await refused(ravi, *arguments)
        assert "frozen_to_collect" in words
        assert "`batua unfreeze`" in words
    assert await money(fresh_sessionmaker, alice) == (100_00, 0)
    async with fresh_sessionmaker.begin() as session:
        assert alice.owner_id is not None
        await freezing.unfreeze(session, alice.owner_id)
    await ravi.answer("proposals", "confirm", proposal, "--yes")
    assert await money(fresh_sessionmaker, alice) == (60_00, 0)


async def test_what_is_held_is_not_taken(
    asha: Operator, ravi: Operator, fresh_sessionmaker: SessionMaker, alice: Account
) -> None:
    await parked(fresh_sessionmaker, alice, 80_00)
    proposal = await proposed(asha, "suspense", "collect", REFERENCE, *REASON)
    async with fresh_sessionmaker.begin() as session:
        await create_withdrawal(session, alice, 20_01, status="needs_review")
    for arguments in (("proposals", "confirm", proposal, "--yes"), ("suspense", "collect", REFERENCE, *REASON)):
        words = await refused(ravi, *arguments)
        assert f"too_little_to_collect: {alice.handle} has ₹100.00, of which ₹20.01 is held" in words
        assert "when their withdrawals have ended" in words
    assert (await money(fresh_sessionmaker, alice), await balance(fresh_sessionmaker)) == ((100_00, 20_01), -80_00)
    async with fresh_sessionmaker.begin() as session:
        await fund(session, alice.id, 1)
    await ravi.answer("proposals", "confirm", proposal, "--yes")
    assert (await money(fresh_sessionmaker, alice), await balance(fresh_sessionmaker)) == ((20_01, 20_01), 0)


async def test_a_hold_that_is_placed_meanwhile_is_waited_for(
    asha: Operator, ravi: Operator, fresh_sessionmaker: SessionMaker, alice: Account
) -> None:
    """The account is locked: what commits first counts."""
    await parked(fresh_sessionmaker, alice, 80_00)
    proposal = await proposed(asha, "suspense", "collect", REFERENCE, *REASON)
    hold = new_id()
    async with fresh_sessionmaker.begin() as session:
        await post_one(session, PlaceHold(hold, alice.id, 50_00))
        confirming = asyncio.create_task(ravi.run("proposals", "confirm", proposal, "--yes"))
        await asyncio.wait([confirming], timeout=0.5)
    assert "too_little_to_collect" in (await confirming).output
    assert (await money(fresh_sessionmaker, alice), await balance(fresh_sessionmaker)) == ((100_00, 50_00), -80_00)
    async with fresh_sessionmaker.begin() as session:
        await post_one(session, ReleaseHold(hold, alice.id))


async def test_who_has_spent_it_is_told_to_add_money(
    asha: Operator, fresh_sessionmaker: SessionMaker, alice: Account
) -> None:
    await parked(fresh_sessionmaker, alice, 100_01)
    words = await refused(asha, "suspense", "collect", REFERENCE, *REASON)
    assert "too little for ₹100.01. Nothing has changed. Try it again when they have added money." in words
    assert (await asha.answer("proposals", "list"))["proposals"] == []


async def test_whose_debit_it_is_is_never_guessed(
    asha: Operator, ravi: Operator, fresh_sessionmaker: SessionMaker, alice: Account
) -> None:
    async with fresh_sessionmaker.begin() as session:
        bob = await create_user(session, first_name="Bob", balance=50_00)
    await parked(fresh_sessionmaker, alice)
    assert bob.handle is not None
    words = await refused(asha, "suspense", "collect", REFERENCE, "--owner", bob.handle, *REASON)
    assert f"This debit is {alice.handle}'s" in words
    await parked(fresh_sessionmaker, None, 5_00, "by the bank itself")
    assert "--owner" in await refused(asha, "suspense", "collect", "by the bank itself", *REASON)
    proposal = await proposed(asha, "suspense", "collect", "by the bank itself", "--owner", bob.handle, *REASON)
    await ravi.answer("proposals", "confirm", proposal, "--yes")
    assert (await money(fresh_sessionmaker, bob), await balance(fresh_sessionmaker)) == ((45_00, 0), -40_00)


async def test_an_on_ramp_that_the_bank_took_back_is_collected_from_its_owner(
    asha: Operator, ravi: Operator, fresh_sessionmaker: SessionMaker, alice: Account
) -> None:
    async with fresh_sessionmaker.begin() as session:
        reference = str((await create_on_ramp(session, alice, amount=5_00)).id)
    await parked(fresh_sessionmaker, None, 5_00, reference)
    assert str(alice.handle) in await refused(asha, "suspense", "book-fee", reference, *REASON)
    proposal = await proposed(asha, "suspense", "collect", reference, *REASON)
    await ravi.answer("proposals", "confirm", proposal, "--yes")
    assert await money(fresh_sessionmaker, alice) == (95_00, 0)


async def test_a_debit_whose_withdrawal_may_still_be_booked_is_not_collected_too(
    asha: Operator, fresh_sessionmaker: SessionMaker, alice: Account, under_review: UUID
) -> None:
    await parked(fresh_sessionmaker, alice, 30_00, str(under_review))
    words = await refused(asha, "suspense", "collect", str(under_review), *REASON)
    assert f"Its withdrawal is needs_review: end that first (`batua withdrawals show {under_review}`)." in words


async def test_a_fee_of_the_bank_is_paid_by_the_platform(
    asha: Operator, ravi: Operator, fresh_sessionmaker: SessionMaker, alice: Account
) -> None:
    await parked(fresh_sessionmaker, alice)
    assert str(alice.handle) in await refused(asha, "suspense", "book-fee", REFERENCE, *REASON)
    by = await parked(fresh_sessionmaker, None, 7_00, "fee of November")
    proposal = await proposed(asha, "suspense", "book-fee", "fee of November", *REASON)
    another = await proposed(asha, "suspense", "collect", by, "--owner", str(alice.owner_id), *REASON)
    listed = await ravi.run("proposals", "list")
    assert "book ₹7.00 of fee of November as a fee of hdfc" in listed.output
    done = await ravi.run("proposals", "confirm", proposal, "--yes")
    assert "It is booked as a fee." in done.output
    assert "parked_debit_ended" in await refused(ravi, "proposals", "confirm", another, "--yes")
    assert (await fees(fresh_sessionmaker), await balance(fresh_sessionmaker)) == (-7_00, -40_00)
    assert await money(fresh_sessionmaker, alice) == (100_00, 0)


async def test_what_the_bank_gave_back_is_not_collected(
    asha: Operator, ravi: Operator, fresh_sessionmaker: SessionMaker, alice: Account
) -> None:
    await parked(fresh_sessionmaker, alice)
    proposal = await proposed(asha, "suspense", "collect", REFERENCE, *REASON)
    await came_in(fresh_sessionmaker, REFERENCE, 40_00)
    for arguments in (("proposals", "confirm", proposal, "--yes"), ("suspense", "collect", REFERENCE, *REASON)):
        assert "parked_debit_came_back" in await refused(ravi, *arguments)
    assert (await money(fresh_sessionmaker, alice), await balance(fresh_sessionmaker)) == ((100_00, 0), 0)


async def test_what_comes_back_after_it_was_collected_says_so(
    asha: Operator, ravi: Operator, fresh_sessionmaker: SessionMaker, alice: Account
) -> None:
    await parked(fresh_sessionmaker, alice)
    proposal = await proposed(asha, "suspense", "collect", REFERENCE, *REASON)
    await ravi.answer("proposals", "confirm", proposal, "--yes")
    await came_in(fresh_sessionmaker, REFERENCE, 40_00)
    (item,) = (await asha.answer("suspense", "list", "--bank", "hdfc"))["items"]
    assert (item["direction"], item["amount"], item["wallet_id"]) == ("CREDIT", 40_00, alice.handle)
    assert item["why"] == "the bank gave it back after operators had collected it, or booked it as a fee"


async def test_a_debit_is_named_so_that_it_is_the_only_one(
    asha: Operator, ravi: Operator, fresh_sessionmaker: SessionMaker, alice: Account
) -> None:
    one, two = [await parked(fresh_sessionmaker, alice, amount) for amount in (10_00, 20_00)]
    await left(fresh_sessionmaker, REFERENCE, 5_00, bank="axis", initiated_by=alice.owner_id)
    words = await refused(asha, "suspense", "collect", REFERENCE, "--bank", "hdfc", *REASON)
    assert f"name one of them by its transfer, {one} (₹10.00 of hdfc) or {two} (₹20.00 of hdfc)." in words
    for name in ((two,), (REFERENCE, "--bank", "axis"), (REFERENCE, "--bank", "hdfc")):
        proposal = await proposed(asha, "suspense", "collect", *name, *REASON)
        await ravi.answer("proposals", "confirm", proposal, "--yes")
    assert (await money(fresh_sessionmaker, alice), await balance(fresh_sessionmaker)) == ((65_00, 0), 0)
    assert (await asha.run("suspense", "collect", REFERENCE, "--bank", "none", *REASON)).exit_code == 2


async def test_what_is_no_debit_of_a_bank_is_not_found(
    asha: Operator, fresh_sessionmaker: SessionMaker, alice: Account
) -> None:
    credit = await came_in(fresh_sessionmaker, "matched later", 9_00)
    await left(fresh_sessionmaker, "matched later", 9_00, reverses=credit.id)
    for name in ("matched later", str(credit.id), str(alice.id), "nothing"):
        for command in ("collect", "book-fee"):
            assert "parked_debit_not_found" in await refused(asha, "suspense", command, name, *REASON)


async def test_an_owner_whose_entries_are_archived_pays_as_any(
    asha: Operator, ravi: Operator, fresh_sessionmaker: SessionMaker, tmp_path: Path
) -> None:
    world = await old_world(fresh_sessionmaker, tmp_path / "archive")
    assert await world.archive()
    assert await world.entries(world.carol) == []
    await parked(fresh_sessionmaker, world.carol, 9_00)
    world.moves.append((REFERENCE, "DEBIT", 9_00))
    proposal = await proposed(asha, "suspense", "collect", REFERENCE, *REASON)
    await ravi.answer("proposals", "confirm", proposal, "--yes")
    assert (await money(fresh_sessionmaker, world.carol), await balance(fresh_sessionmaker)) == ((0, 0), 0)
    await world.require_right()
