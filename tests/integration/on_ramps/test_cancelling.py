"""The end of an undecided on-ramp: cancelled by its person, or expired at the bank. Money is never lost."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from shared import clock
from shared.banks.client import BankClient
from shared.banks.errors import BankFailed, BankUnavailable, Refused
from shared.banks.messages import SessionState
from shared.banks.notices import PaymentNotice
from shared.config import OnRampSettings
from shared.db.engine import SessionMaker
from shared.http.keyed_requests import START_ON_RAMP
from shared.idempotency.marks import Marks
from shared.models import OnRamp
from shared.models.on_ramp import OnRampStatus
from shared.on_ramps import commands
from shared.on_ramps.enquiry import GIVE_UP_AFTER, enquire_due
from shared.on_ramps.errors import AlreadyDecided, OnRampNotFound
from shared.on_ramps.settlement import settle
from shared.on_ramps.views import OnRampView
from shared.proof.prove import prove
from tests.integration.on_ramps.test_enquiry import an_opened_one, now_of, pause_of
from tests.support.bank_notices import create_on_ramp, payment_notice
from tests.support.deadlines import deadline
from tests.support.factories import create_user

Clients = dict[str, BankClient]
Visit = Callable[[str, str], Awaitable[Any]]


@dataclass(frozen=True)
class World:
    """Our side, the bank's, and the person."""

    sessionmaker: SessionMaker
    clients: Clients
    settings: OnRampSettings
    visit: Visit
    misbehave: Any

    async def ask(self, *, later: timedelta = timedelta()) -> int:
        """Run the enquiries that are due, `later` than now. Several at once must leave the process its clock."""
        at = clock.now() + later
        with clock.reading(lambda: at) if later else nullcontext():
            return await enquire_due(self.sessionmaker, clients=self.clients, settings=self.settings)

    async def cancel(self, on_ramp: OnRamp, *, owner_id: UUID | None = None) -> OnRampView:
        return await commands.cancel(
            owner_id=owner_id or on_ramp.owner_id,
            on_ramp_id=on_ramp.id,
            sessionmaker=self.sessionmaker,
            clients=self.clients,
            settings=self.settings,
        )

    async def start(self, amount: int = 500_00) -> OnRamp:
        """Start one as the API does."""
        async with self.sessionmaker.begin() as session:
            wallet = await create_user(session)
        assert wallet.owner_id is not None
        answer = await commands.start(
            START_ON_RAMP.request(wallet.owner_id, "k"),
            bank="hdfc",
            amount=amount,
            sessionmaker=self.sessionmaker,
            clients=self.clients,
            marks=Marks(self.sessionmaker),
            settings=self.settings,
        )
        async with self.sessionmaker() as session:
            return await session.get_one(OnRamp, UUID(answer.body["id"]))

    async def opened(self, **facts: Any) -> OnRamp:
        return await an_opened_one(self.sessionmaker, self.clients, **facts)

    async def now(self, on_ramp: OnRamp) -> tuple[OnRamp, int]:
        return await now_of(self.sessionmaker, on_ramp)

    async def approve(self, on_ramp: OnRamp) -> None:
        await self.visit(on_ramp.redirect_url or "", "approve")

    async def make_due(self, on_ramp: OnRamp) -> None:
        async with self.sessionmaker.begin() as session:
            row = await session.get_one(OnRamp, on_ramp.id)
            if row.status is OnRampStatus.PENDING:
                row.next_enquiry_at = clock.now()

    async def tell_the_truth(self, on_ramp: OnRamp) -> None:
        """Deliver the notice that the bank would send now, if there is one."""
        try:
            state = await self.clients["hdfc"].session_state(on_ramp.token or "")
        except BankFailed:
            return
        if state is not None and state.status != "pending":
            event: Any = "success" if state.status == "approved" else "failure"
            await tell(self.sessionmaker, payment_notice(on_ramp, event, reason=state.reason))


@pytest.fixture
def world(
    fresh_sessionmaker: SessionMaker, clients: Clients, settings: OnRampSettings, visit: Visit, misbehave: Any
) -> World:
    return World(fresh_sessionmaker, clients, settings, visit, misbehave)


async def tell(sessionmaker: SessionMaker, notice: PaymentNotice) -> str:
    async with sessionmaker.begin() as session:
        return (await settle(session, notice)).verdict


async def test_a_cancelled_one_cannot_be_approved_at_the_bank_any_more(world: World) -> None:
    on_ramp = await world.opened()
    assert (await world.cancel(on_ramp)).status == "cancelled"
    with pytest.raises(AssertionError, match="cannot be decided again"):
        await world.approve(on_ramp)
    row, balance = await world.now(on_ramp)
    assert (row.status, row.next_enquiry_at, balance) == ("cancelled", None, 0)
    assert (await world.cancel(on_ramp)).status == "cancelled"


async def test_an_approval_that_came_first_is_credited_and_not_cancelled(world: World) -> None:
    on_ramp = await world.opened()
    await world.approve(on_ramp)
    with pytest.raises(AlreadyDecided):
        await world.cancel(on_ramp)
    row, balance = await world.now(on_ramp)
    assert (row.status, row.is_late_success, balance) == ("success", False, on_ramp.amount)


async def test_while_the_bank_is_silent_it_stays_pending_and_the_wish_is_repeated(world: World) -> None:
    on_ramp = await world.opened()
    await world.misbehave("hdfc", down=True)
    view = await world.cancel(on_ramp)
    assert (view.status, view.cancel_requested_at is not None) == ("pending", True)
    assert 0 < pause_of((await world.now(on_ramp))[0]) <= 60
    await world.misbehave("hdfc")
    await world.make_due(on_ramp)
    await world.ask()
    row, balance = await world.now(on_ramp)
    assert (row.status, balance) == ("cancelled", 0)


async def test_an_approval_while_the_cancellation_does_not_reach_the_bank_is_credited(world: World) -> None:
    on_ramp = await world.opened()
    await world.misbehave("hdfc", down=True)
    await world.cancel(on_ramp)
    await world.misbehave("hdfc")
    await world.approve(on_ramp)
    await world.make_due(on_ramp)
    await world.ask()
    row, balance = await world.now(on_ramp)
    assert (row.status, balance) == ("success", on_ramp.amount)


async def test_a_bank_that_cannot_cancel_is_asked_how_the_session_stands(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(self: BankClient, token: str) -> SessionState | None:
        raise Refused("hdfc", "METHOD_NOT_ALLOWED", "No.")

    monkeypatch.setattr(BankClient, "cancel_session", refuse)
    on_ramp = await world.opened()
    assert (await world.cancel(on_ramp)).status == "pending"
    await world.make_due(on_ramp)
    await world.ask(later=timedelta(minutes=17))
    assert (await world.now(on_ramp))[0].status == "cancelled"


async def test_one_that_the_bank_has_not_opened_yet_is_cancelled_as_soon_as_it_is(world: World) -> None:
    async with world.sessionmaker.begin() as session:
        on_ramp = await create_on_ramp(session, await create_user(session), is_opened=False)
    view = await world.cancel(on_ramp)
    assert (view.status, view.cancel_requested_at is not None) == ("pending", True)
    await world.ask()
    assert (await world.now(on_ramp))[0].status == "cancelled"


async def test_what_has_ended_otherwise_or_is_not_ones_own_cannot_be_cancelled(world: World) -> None:
    on_ramp = await world.opened()
    async with world.sessionmaker.begin() as session:
        stranger = await create_user(session)
    with pytest.raises(OnRampNotFound):
        await world.cancel(on_ramp, owner_id=stranger.owner_id)
    await world.visit(on_ramp.redirect_url or "", "decline")
    with pytest.raises(AlreadyDecided):
        await world.cancel(on_ramp)
    assert (await world.now(on_ramp))[0].failure_reason == "declined_by_customer"


async def test_a_session_that_ended_undecided_is_expired_by_the_banks_word(world: World) -> None:
    on_ramp = await world.opened()
    await world.ask()
    assert (await world.now(on_ramp))[0].status == "pending"
    await world.make_due(on_ramp)
    await world.ask(later=timedelta(minutes=17))
    row, balance = await world.now(on_ramp)
    assert (row.status, row.failure_reason, balance) == ("expired", "expired", 0)


async def test_silence_of_the_bank_expires_nothing(world: World) -> None:
    """It may have been approved in the last second; only the bank knows."""
    on_ramp = await world.opened()
    await world.approve(on_ramp)
    await world.misbehave("hdfc", down=True)
    await world.ask(later=timedelta(hours=2))
    assert (await world.now(on_ramp))[0].status == "pending"
    await world.misbehave("hdfc")
    await world.make_due(on_ramp)
    await world.ask()
    assert (await world.now(on_ramp))[1] == on_ramp.amount


async def test_one_is_asked_about_as_soon_as_its_session_is_over(world: World) -> None:
    on_ramp = await world.opened()
    async with world.sessionmaker.begin() as session:
        (await session.get_one(OnRamp, on_ramp.id)).expires_at = clock.now() + timedelta(minutes=5)
    await world.ask()
    row, _ = await world.now(on_ramp)
    assert pause_of(row) == pytest.approx(6 * 60, abs=10)


async def test_a_cancellation_without_an_answer_for_a_day_ends_cancelled(world: World) -> None:
    on_ramp = await world.opened(age_seconds=GIVE_UP_AFTER.total_seconds() + 1)
    await world.misbehave("hdfc", down=True)
    await world.cancel(on_ramp)
    await world.make_due(on_ramp)
    await world.ask()
    row, _ = await world.now(on_ramp)
    assert row.status == "cancelled"
    assert await tell(world.sessionmaker, payment_notice(row)) == "settled"
    row, balance = await world.now(on_ramp)
    assert (row.status, row.is_late_success, balance) == ("success", True, on_ramp.amount)


async def test_a_cancellation_and_the_notice_of_an_approval_at_once_credit_once(world: World) -> None:
    on_ramps = [await world.opened() for _ in range(4)]
    for on_ramp in on_ramps:
        await world.approve(on_ramp)

    async def at_once(on_ramp: OnRamp) -> None:
        notices = [tell(world.sessionmaker, payment_notice(on_ramp)) for _ in range(2)]
        await asyncio.gather(
            world.cancel(on_ramp), *notices, world.cancel(on_ramp), world.ask(), return_exceptions=True
        )

    async with asyncio.timeout(deadline(30)):
        await asyncio.gather(*map(at_once, on_ramps))
    for on_ramp in on_ramps:
        row, balance = await world.now(on_ramp)
        assert (row.status, balance) == ("success", on_ramp.amount)


@pytest.mark.parametrize("seed", range(8))
async def test_in_any_order_of_events_money_that_came_is_credited_once(world: World, seed: int) -> None:
    """Cancellations, a bank that comes and goes, its clock past the end, true notices, repeated and late."""
    chance = random.Random(seed)
    on_ramp = await world.opened()
    started = clock.now()
    minutes = 0
    for _ in range(9):
        step = chance.choice(["cancel", "cancel", "ask", "ask", "down", "up", "approve", "notice", "notice", "later"])
        minutes += 8 if step == "later" else 0
        at = started + timedelta(minutes=minutes)
        with clock.reading(lambda at=at: at):  # type: ignore[misc]
            match step:
                case "cancel":
                    await asyncio.gather(world.cancel(on_ramp), return_exceptions=True)
                case "ask":
                    await world.make_due(on_ramp)
                    await world.ask()
                case "down" | "up":
                    await world.misbehave("hdfc", down=step == "down")
                case "approve":
                    await asyncio.gather(world.approve(on_ramp), return_exceptions=True)
                case "notice":
                    await world.tell_the_truth(on_ramp)
    await world.misbehave("hdfc")
    await world.make_due(on_ramp)
    await world.ask()
    await world.tell_the_truth(on_ramp)
    state = await world.clients["hdfc"].session_state(on_ramp.token or "")
    assert state is not None
    row, balance = await world.now(on_ramp)
    assert balance == (on_ramp.amount if state.status == "approved" else 0)
    assert (row.status == "success") == (state.status == "approved")
    assert (await prove(world.sessionmaker)).ok


async def test_a_bank_whose_sessions_end_in_the_year_9999_has_sessions_without_an_end(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    said_by_bank(monkeypatch, expires_at="9999-12-31T23:59:59Z")
    on_ramp = await world.start(500_00)
    assert (on_ramp.status, on_ramp.expires_at) == ("pending", None)
    await world.approve(on_ramp)
    await world.make_due(on_ramp)
    await world.ask()
    row, balance = await world.now(on_ramp)
    assert (row.status, balance) == ("success", 500_00)


async def test_a_session_at_an_address_that_is_none_fails_as_one_that_the_bank_did_not_open(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    said_by_bank(monkeypatch, url="https://bank.example/\x00")
    with pytest.raises(BankUnavailable):
        await world.start()


async def test_a_reason_that_cannot_be_stored_ends_an_on_ramp_all_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_ramp = await world.opened()
    await world.visit(on_ramp.redirect_url or "", "decline")
    said_by_bank(monkeypatch, reason="NOT\x00WANTED")
    await world.make_due(on_ramp)
    await world.ask()
    row, balance = await world.now(on_ramp)
    assert (row.status, row.failure_reason, balance) == ("failure", "not\ufffdwanted", 0)


def said_by_bank(monkeypatch: pytest.MonkeyPatch, **changed: Any) -> None:
    """Change what the bank answers about sessions."""
    exchange = BankClient._exchange

    async def exchange_changed(self: BankClient, request: httpx.Request, limit_bytes: int) -> Any:
        reply = await exchange(self, request, limit_bytes)
        return replace(reply, body=json.dumps({**json.loads(reply.body), **changed}).encode())

    monkeypatch.setattr(BankClient, "_exchange", exchange_changed)
