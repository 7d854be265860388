"""What a bank did after the moment to which the database was restored is found on its statement and settled, once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

import pytest
from sqlalchemy import select

from services.dummy_bank.api import records
from shared import clock
from shared.banks import statements
from shared.banks.client import BankClient
from shared.ids import new_id
from shared.ledger import freezing, system_accounts
from shared.models import Account, AuditEvent, OnRamp
from shared.proof.prove import prove
from shared.recovery import commands
from shared.recovery.errors import AnotherUnfinished, BooksDiffer, NoneUnfinished
from shared.recovery.settling import BankReport, Result, Settling
from shared.withdrawals.commands import cancel
from shared.withdrawals.errors import AlreadySent
from tests.support.bank_flows import create_on_ramp
from tests.support.factories import fund
from tests.support.waiting import eventually_async
from tests.support.withdrawal_world import World, hasty, owner_of

STRANGER = "01890000-0000-7000-8000-000000000000"


@dataclass(slots=True)
class Disaster:
    """The bank has a past that the database lacks."""

    world: World
    settling: Settling

    async def settle(self, **options: Any) -> BankReport:
        return await self.settling.settle(1000, **options)

    def paid_in(self, user_id: object, amount: int = 250_00, reference: UUID | None = None) -> UUID:
        """A person pays in a session of which the database knows nothing; its reference."""
        reference = reference or new_id()
        token = self.world.bank.open_session(str(reference), amount, user_id=str(user_id))
        assert self.world.bank.decide(token).status_code == 303
        return reference

    def paid_out(self, user_id: object | None, amount: int = 100_00, reference: UUID | None = None) -> UUID:
        """The bank carries out a payout of which the database knows nothing; its reference."""
        reference = reference or new_id()
        named = {} if user_id is None else {"user_ref": str(user_id)}
        assert self.world.bank.pay(str(reference), amount, **named).status_code == 200
        return reference

    async def suspense(self) -> int:
        async with self.world.sessionmaker() as session:
            return (await session.get_one(Account, system_accounts.SUSPENSE)).balance

    async def unsettled(self) -> list[str]:
        return [lacking.reference for lacking in await self.settling.unsettled()]

    async def books_equal_the_banks(self) -> bool:
        items = await self.settling.client.statement(clock.now() - timedelta(days=1), clock.now() + timedelta(days=1))
        report = await prove(self.world.sessionmaker, statements={"hdfc": items})
        return report.ok

    async def audited(self) -> list[dict[str, Any]]:
        async with self.world.sessionmaker() as session:
            events = await session.scalars(select(AuditEvent).order_by(AuditEvent.id))
            return [event.facts for event in events if event.what == "recovery settle"]


@pytest.fixture
async def disaster(world_alone: World) -> Disaster:
    """A database that was restored to this moment."""
    restored_to = clock.now()
    async with world_alone.sessionmaker.begin() as session:
        await commands.begin(session, restored_to=restored_to)
    client = world_alone.engine.clients["hdfc"]
    return Disaster(world_alone, Settling(world_alone.sessionmaker, client, "hdfc", restored_to, "asha@desk"))


def results(report: BankReport) -> dict[str, Result]:
    return {one.reference: one.result for one in report.settled}


async def test_what_is_gone_is_credited_and_debited_to_whom_the_bank_was_told(disaster: Disaster) -> None:
    wallet = await disaster.world.person()
    paid_in, paid_out = disaster.paid_in(owner_of(wallet)), disaster.paid_out(owner_of(wallet))
    report = await disaster.settle()
    assert results(report) == {str(paid_in): Result.CREDITED, str(paid_out): Result.DEBITED}
    assert await disaster.world.money(wallet) == (1_150_00, 0)
    assert await disaster.books_equal_the_banks()
    async with disaster.world.sessionmaker() as session:
        on_ramp = await session.get_one(OnRamp, paid_in)
    withdrawal = await disaster.world.row(paid_out)
    assert (on_ramp.owner_id, on_ramp.status) == (owner_of(wallet), "success")
    assert (withdrawal.status, withdrawal.account_number) == ("succeeded", "XXXXXX7890")
    assert await disaster.world.kinds(paid_out) == ["paid"]
    named = {"bank": "hdfc", "owner_id": str(owner_of(wallet))}
    assert await disaster.audited() == [
        named | {"reference": str(paid_in), "amount": 250_00, "result": "credited"},
        named | {"reference": str(paid_out), "amount": 100_00, "result": "debited"},
    ]


async def test_a_clock_that_runs_late_hides_nothing(disaster: Disaster) -> None:
    """That of the machine on which the operator runs the command."""
    wallet = await disaster.world.person()
    paid_out = disaster.paid_out(owner_of(wallet))
    late = clock.now() - timedelta(minutes=10)
    with clock.reading(lambda: late):
        assert await disaster.unsettled() == [str(paid_out)]
        assert results(await disaster.settle()) == {str(paid_out): Result.DEBITED}
        assert await disaster.unsettled() == []
    assert await disaster.world.money(wallet) == (900_00, 0)


async def test_a_second_run_settles_nothing(disaster: Disaster) -> None:
    wallet = await disaster.world.person()
    disaster.paid_in(owner_of(wallet))
    disaster.paid_in(STRANGER)
    disaster.paid_out(owner_of(wallet))
    disaster.paid_out(STRANGER)
    await disaster.settle()
    money, suspense, audited = await disaster.world.money(wallet), await disaster.suspense(), await disaster.audited()
    report = await disaster.settle()
    assert Result.CREDITED not in results(report).values()
    assert Result.DEBITED not in results(report).values()
    assert (await disaster.world.money(wallet), await disaster.suspense()) == (money, suspense)
    assert await disaster.audited() == audited


async def test_a_limit_bounds_a_run_and_the_next_one_goes_on(disaster: Disaster) -> None:
    wallet = await disaster.world.person()
    paid_in = [disaster.paid_in(owner_of(wallet), 1_00) for _ in range(3)]
    first = await disaster.settling.settle(2)
    assert (list(results(first)), first.more) == ([str(reference) for reference in paid_in[:2]], 1)
    assert await disaster.world.money(wallet) == (1_002_00, 0)
    assert list(results(await disaster.settle())) == [str(paid_in[2])]
    assert await disaster.world.money(wallet) == (1_003_00, 0)


async def test_a_statement_too_long_for_one_answer_is_settled_to_its_end(
    disaster: Disaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "MAX_LIST_ITEMS", 2)
    monkeypatch.setattr(statements, "SHORTEST_RANGE", timedelta(milliseconds=1))
    wallet = await disaster.world.person()
    paid_in = [disaster.paid_in(owner_of(wallet), 1_00) for _ in range(4)]
    stranger = disaster.paid_in(STRANGER, 2_00)
    report = await disaster.settle()
    assert results(report) == dict.fromkeys(map(str, paid_in), Result.CREDITED) | {str(stranger): Result.PARKED}
    assert await disaster.suspense() == 2_00
    assert await disaster.unsettled() == []


async def test_a_payout_that_is_gone_and_came_back_changes_no_balance(disaster: Disaster) -> None:
    wallet = await disaster.world.person()
    disaster.world.bank.faults(reversal_rate=1.0)
    paid_out = disaster.paid_out(owner_of(wallet))
    await came_back(disaster, paid_out)
    assert results(await disaster.settle()) == {str(paid_out): Result.DEBITED}
    assert (await disaster.world.row(paid_out)).status == "reversed"
    assert await disaster.world.money(wallet) == (1_000_00, 0)
    assert await disaster.books_equal_the_banks()


async def test_whose_owner_is_not_known_is_parked(disaster: Disaster) -> None:
    disaster.paid_in(STRANGER, 250_00)
    disaster.paid_in("not-an-id-of-ours", 1_00)
    disaster.paid_out(STRANGER, 100_00)
    disaster.paid_out(None, 7_00)
    disaster.world.bank.pay("a-reference-of-others", 3_00)
    report = await disaster.settle()
    assert set(results(report).values()) == {Result.PARKED}
    assert await disaster.suspense() == 251_00 - 110_00
    assert await disaster.unsettled() == []


async def test_who_has_too_little_owes_it_to_suspense(disaster: Disaster) -> None:
    wallet = await disaster.world.person(balance=99_99)
    paid_out = disaster.paid_out(owner_of(wallet), 100_00)
    (parked,) = (await disaster.settle()).settled
    assert (parked.result, parked.reason) == (Result.PARKED, f"its owner {owner_of(wallet)} has 9999 paise")
    assert await disaster.world.money(wallet) == (99_99, 0)
    assert await disaster.suspense() == -100_00
    assert await disaster.books_equal_the_banks()
    assert disaster.world.paid_out(paid_out) == 100_00


async def came_back(disaster: Disaster, reference: UUID) -> None:
    """Wait until the bank has booked the payout and its reversal."""

    async def has_both_lines() -> bool:
        return len(disaster.world.bank.paid_out(str(reference))) == 2

    await eventually_async(has_both_lines, "the money came back")


async def test_what_is_parked_and_came_back_is_not_booked_from_an_owner_who_has_enough_by_then(
    disaster: Disaster,
) -> None:
    wallet = await disaster.world.person(balance=99_99)
    disaster.world.bank.faults(reversal_rate=1.0)
    paid_out = disaster.paid_out(owner_of(wallet), 100_00)
    await came_back(disaster, paid_out)
    assert results(await disaster.settle()) == {str(paid_out): Result.PARKED}
    async with disaster.world.sessionmaker.begin() as session:
        await fund(session, wallet.id, 500_00)
    assert results(await disaster.settle()) == {str(paid_out): Result.PARKED}
    assert await disaster.world.money(wallet) == (599_99, 0)
    assert await disaster.suspense() == 0
    assert await disaster.books_equal_the_banks()


class Meanwhile:
    """A bank's client; before its first answer about a payout, something else happens."""

    def __init__(self, client: BankClient, work: Callable[[], Awaitable[None]]) -> None:
        self._client = client
        self._work: Callable[[], Awaitable[None]] | None = work

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def enquire(self, reference: str) -> Any:
        work, self._work = self._work, None
        if work is not None:
            await work()
        return await self._client.enquire(reference)


async def test_what_one_operator_parks_another_does_not_book_from_its_owner(disaster: Disaster) -> None:
    """Both run `settle`; between them, the owner who had too little is paid."""
    wallet = await disaster.world.person(balance=99_99)
    paid_out = disaster.paid_out(owner_of(wallet), 100_00)

    async def the_other_one() -> None:
        assert results(await disaster.settle()) == {str(paid_out): Result.PARKED}
        async with disaster.world.sessionmaker.begin() as session:
            await fund(session, wallet.id, 500_00)

    client = cast(BankClient, Meanwhile(disaster.settling.client, the_other_one))
    assert results(await replace(disaster.settling, client=client).settle(1000)) == {str(paid_out): Result.PARKED}
    assert await disaster.world.money(wallet) == (599_99, 0)
    assert await disaster.suspense() == -100_00
    assert await disaster.books_equal_the_banks()


async def test_what_a_frozen_owner_withdrew_is_parked(disaster: Disaster) -> None:
    wallet = await disaster.world.person()
    paid_out = disaster.paid_out(owner_of(wallet), 100_00)
    async with disaster.world.sessionmaker.begin() as session:
        await freezing.freeze(session, owner_of(wallet))
    (parked,) = (await disaster.settle()).settled
    assert (parked.result, parked.reason) == (Result.PARKED, f"its owner {owner_of(wallet)} is frozen")
    assert await disaster.world.money(wallet) == (1_000_00, 0)
    assert await disaster.suspense() == -100_00
    assert await disaster.books_equal_the_banks()
    assert disaster.world.paid_out(paid_out) == 100_00


async def test_an_on_ramp_whose_session_is_gone_is_credited(disaster: Disaster) -> None:
    """It was begun before the moment, and its session was opened after it."""
    wallet = await disaster.world.person()
    async with disaster.world.sessionmaker.begin() as session:
        on_ramp = await create_on_ramp(session, wallet, 250_00, status="pending")
        on_ramp.token = None
    disaster.paid_in(owner_of(wallet), 250_00, on_ramp.id)
    assert results(await disaster.settle()) == {str(on_ramp.id): Result.CREDITED}
    assert await disaster.world.money(wallet) == (1_250_00, 0)
    assert await disaster.books_equal_the_banks()


async def test_a_bank_without_an_answer_leaves_it_until_it_is_to_be_parked(disaster: Disaster) -> None:
    wallet = await disaster.world.person()
    paid_in = disaster.paid_in(owner_of(wallet))
    disaster.world.bank.faults(error_rate=1.0)
    assert (await disaster.settle()).left == [str(paid_in)]
    assert await disaster.unsettled() == [str(paid_in)]
    assert await disaster.suspense() == 0
    assert results(await disaster.settle(park_unanswered=True)) == {str(paid_in): Result.PARKED}
    assert await disaster.suspense() == 250_00
    # A bank that answers later is believed, and suspense gives the money back.
    disaster.world.bank.faults()
    assert results(await disaster.settle()) == {str(paid_in): Result.CREDITED}
    assert (await disaster.suspense(), await disaster.world.money(wallet)) == (0, (1_250_00, 0))
    assert await disaster.books_equal_the_banks()


@hasty
async def test_what_was_queued_is_asked_about_and_not_sent_twice(world_alone: World) -> None:
    """Also by a bank that pays a reference as often as it is asked to."""
    wallet = await world_alone.person()
    sent, not_sent = await world_alone.ask(wallet), await world_alone.ask(wallet)
    world_alone.bank.faults(idempotency=False)
    disaster = Disaster(
        world_alone, Settling(world_alone.sessionmaker, world_alone.engine.clients["hdfc"], "hdfc", clock.now(), "x")
    )
    disaster.paid_out(owner_of(wallet), 100_00, sent)
    async with world_alone.sessionmaker.begin() as session:
        _, marked = await commands.begin(session, restored_to=clock.now())
    assert marked == 2
    assert await world_alone.engine.advance(owner_of(wallet)) == 0  # nothing leaves meanwhile
    async with world_alone.sessionmaker.begin() as session:
        with pytest.raises(AlreadySent):
            await cancel(session, owner_id=owner_of(wallet), withdrawal_id=sent)
    async with world_alone.sessionmaker.begin() as session:
        await commands.finish(session, [])
    await world_alone.work_until_status([sent, not_sent], "succeeded")
    assert [world_alone.paid_out(each) for each in (sent, not_sent)] == [100_00, 100_00]
    assert "interrupted" in await world_alone.kinds(not_sent)
    assert await disaster.books_equal_the_banks()


async def test_what_was_queued_and_is_paid_is_settled(world_alone: World) -> None:
    wallet = await world_alone.person()
    sent = await world_alone.ask(wallet)
    restored_to = clock.now()
    async with world_alone.sessionmaker.begin() as session:
        await commands.begin(session, restored_to=restored_to)
    client = world_alone.engine.clients["hdfc"]
    disaster = Disaster(world_alone, Settling(world_alone.sessionmaker, client, "hdfc", restored_to, "x"))
    disaster.paid_out(owner_of(wallet), 100_00, sent)
    assert results(await disaster.settle()) == {str(sent): Result.DEBITED}
    assert await world_alone.money(wallet) == (900_00, 0)
    assert await disaster.books_equal_the_banks()


@hasty
async def test_what_was_queued_is_not_parked_too_while_the_bank_gives_no_answer(world_alone: World) -> None:
    """The worker asks about it before it is sent, and books it then."""
    wallet = await world_alone.person()
    sent = await world_alone.ask(wallet)
    restored_to = clock.now()
    async with world_alone.sessionmaker.begin() as session:
        await commands.begin(session, restored_to=restored_to)
    client = world_alone.engine.clients["hdfc"]
    disaster = Disaster(world_alone, Settling(world_alone.sessionmaker, client, "hdfc", restored_to, "x"))
    disaster.paid_out(owner_of(wallet), 100_00, sent)
    world_alone.bank.faults(error_rate=1.0)
    assert (await disaster.settle()).left == [str(sent)]
    assert results(await disaster.settle(park_unanswered=True)) == {str(sent): Result.ASKED_LATER}
    assert await disaster.suspense() == 0
    assert await disaster.unsettled() == []
    assert await disaster.books_equal_the_banks(), "what the worker will ask about is no difference"
    world_alone.bank.faults()
    async with world_alone.sessionmaker.begin() as session:
        await commands.finish(session, [])
    await world_alone.work_until_status([sent], "succeeded")
    assert await world_alone.money(wallet) == (900_00, 0)
    assert world_alone.paid_out(sent) == 100_00
    assert await disaster.books_equal_the_banks()


async def test_what_the_bank_did_not_find_before_the_moment_counts_no_more(world_alone: World) -> None:
    """It may have been sent after that: two new answers are needed before it is sent again."""
    wallet = await world_alone.person()
    asked = await world_alone.ask(wallet)
    before = clock.now() - timedelta(hours=1)
    await world_alone.change(
        asked, status="unknown", active_since=before, first_not_found_at=before, next_attempt_at=before
    )
    async with world_alone.sessionmaker.begin() as session:
        await commands.begin(session, restored_to=clock.now())
    assert await world_alone.engine.advance(owner_of(wallet), max_calls=1) == 1
    assert (await world_alone.row(asked)).status == "unknown"


async def test_one_recovery_at_a_time_is_begun_and_finished(disaster: Disaster) -> None:
    sessionmaker, restored_to = disaster.world.sessionmaker, disaster.settling.restored_to
    async with sessionmaker.begin() as session:
        again, _ = await commands.begin(session, restored_to=restored_to)
        with pytest.raises(AnotherUnfinished):
            await commands.begin(session, restored_to=restored_to - timedelta(hours=1))
        with pytest.raises(BooksDiffer):
            await commands.finish(session, ["a reference"])
        assert (await commands.finish(session, [])).id == again.id
    async with sessionmaker.begin() as session:
        with pytest.raises(NoneUnfinished):
            await commands.unfinished(session)
