"""Enquiries about on-ramps whose notices did not arrive."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from shared import clock, spans
from shared.banks.client import BankClient
from shared.banks.messages import SessionRequest
from shared.banks.settings import BankEndpoint
from shared.banks.table import BANKS
from shared.config import OnRampSettings
from shared.db.engine import SessionMaker
from shared.ids import new_token
from shared.ledger.accounts import wallet_of
from shared.models import OnRamp
from shared.on_ramps import rows
from shared.on_ramps.enquiry import GIVE_UP_AFTER, enquire_due
from shared.on_ramps.settlement import settle
from shared.spans import Context
from tests.support.bank_notices import create_on_ramp, payment_notice
from tests.support.deadlines import deadline
from tests.support.factories import create_user
from tests.support.recorded_spans import recording

Clients = dict[str, BankClient]
Visit = Callable[[str, str], Awaitable[Any]]


@pytest.fixture
def ask(fresh_sessionmaker: SessionMaker, clients: Clients, settings: OnRampSettings) -> Callable[..., Awaitable[int]]:
    async def ask(**changes: Any) -> int:
        return await enquire_due(fresh_sessionmaker, **{"clients": clients, "settings": settings, **changes})

    return ask


async def an_opened_one(
    sessionmaker: SessionMaker, clients: Clients, *, bank: str = "hdfc", age_seconds: float = 600, **said: Any
) -> OnRamp:
    """Pending here, with a session of its own at the bank; `said` is what we told the bank wrongly."""
    created_at = clock.now() - timedelta(seconds=age_seconds)
    async with sessionmaker.begin() as session:
        wallet = await create_user(session)
        on_ramp = await create_on_ramp(session, wallet, bank=bank, created_at=created_at)
        asked: dict[str, Any] = {
            "reference": str(on_ramp.id),
            "user_id": str(on_ramp.owner_id),
            "amount": on_ramp.amount,
            "return_url": "http://127.0.0.1/back",
        }
        opened = await clients[bank].open_session(SessionRequest(**{**asked, **said}))
        on_ramp.token, on_ramp.redirect_url = opened.token, opened.url
    return on_ramp


async def now_of(sessionmaker: SessionMaker, on_ramp: OnRamp) -> tuple[OnRamp, int]:
    """The row and its owner's balance."""
    async with sessionmaker() as session:
        return await session.get_one(OnRamp, on_ramp.id), (await wallet_of(session, on_ramp.owner_id)).balance


def pause_of(row: OnRamp) -> float:
    assert row.next_enquiry_at is not None
    return (row.next_enquiry_at - clock.now()).total_seconds()


@pytest.mark.parametrize("bank", BANKS)
async def test_an_approval_we_were_not_told_of_is_credited(
    fresh_sessionmaker: SessionMaker, clients: Clients, visit: Visit, ask: Any, bank: str
) -> None:
    on_ramp = await an_opened_one(fresh_sessionmaker, clients, bank=bank)
    await visit(on_ramp.redirect_url or "", "approve")
    assert await ask() == 1
    row, balance = await now_of(fresh_sessionmaker, on_ramp)
    assert (row.status, balance) == ("success", on_ramp.amount)
    assert row.bank_reference is not None
    assert await ask() == 0
    async with fresh_sessionmaker.begin() as session:
        assert (await settle(session, payment_notice(row))).verdict == "duplicate"
    assert (await now_of(fresh_sessionmaker, on_ramp))[1] == on_ramp.amount


async def test_a_decline_we_were_not_told_of_ends_it_with_the_banks_reason(
    fresh_sessionmaker: SessionMaker, clients: Clients, visit: Visit, ask: Any
) -> None:
    on_ramp = await an_opened_one(fresh_sessionmaker, clients)
    await visit(on_ramp.redirect_url or "", "decline")
    await ask()
    row, balance = await now_of(fresh_sessionmaker, on_ramp)
    assert (row.status, row.failure_reason, balance) == ("failure", "declined_by_customer", 0)


@pytest.mark.parametrize(("age_minutes", "pause_minutes"), [(1, 10), (10, 10), (25, 25), (600, 60)])
async def test_while_the_bank_says_pending_it_is_asked_ever_more_rarely(
    fresh_sessionmaker: SessionMaker, clients: Clients, ask: Any, age_minutes: int, pause_minutes: int
) -> None:
    on_ramp = await an_opened_one(fresh_sessionmaker, clients, age_seconds=age_minutes * 60)
    await ask()
    row, _ = await now_of(fresh_sessionmaker, on_ramp)
    assert row.status == "pending"
    assert pause_of(row) == pytest.approx(pause_minutes * 60, abs=10)


async def test_after_a_day_it_is_given_up_and_a_late_success_is_still_credited(
    fresh_sessionmaker: SessionMaker, clients: Clients, ask: Any
) -> None:
    on_ramp = await an_opened_one(fresh_sessionmaker, clients, age_seconds=GIVE_UP_AFTER.total_seconds() + 1)
    await ask()
    row, _ = await now_of(fresh_sessionmaker, on_ramp)
    assert (row.status, row.failure_reason) == ("failure", "expired")
    async with fresh_sessionmaker.begin() as session:
        assert (await settle(session, payment_notice(row))).verdict == "settled"
    row, balance = await now_of(fresh_sessionmaker, on_ramp)
    assert (row.is_late_success, balance) == (True, on_ramp.amount)


async def test_a_session_the_bank_does_not_know_is_over(fresh_sessionmaker: SessionMaker, ask: Any) -> None:
    async with fresh_sessionmaker.begin() as session:
        on_ramp = await create_on_ramp(session, await create_user(session))
    await ask()
    row, _ = await now_of(fresh_sessionmaker, on_ramp)
    assert (row.status, row.failure_reason) == ("failure", "unknown_to_bank")


async def test_a_row_whose_session_was_never_opened_is_over(fresh_sessionmaker: SessionMaker, ask: Any) -> None:
    async with fresh_sessionmaker.begin() as session:
        on_ramp = await create_on_ramp(session, await create_user(session), is_opened=False)
    await ask()
    row, _ = await now_of(fresh_sessionmaker, on_ramp)
    assert (row.status, row.failure_reason) == ("failure", "never_opened")


async def test_a_bank_that_does_not_answer_is_asked_later(
    fresh_sessionmaker: SessionMaker, clients: Clients, misbehave: Any, ask: Any
) -> None:
    on_ramp = await an_opened_one(fresh_sessionmaker, clients)
    await misbehave("hdfc", down=True)
    assert await ask() == 1
    row, _ = await now_of(fresh_sessionmaker, on_ramp)
    assert row.status == "pending"
    assert pause_of(row) > 0
    assert await ask() == 0


async def test_a_bank_we_have_no_client_for_is_asked_later(
    fresh_sessionmaker: SessionMaker, clients: Clients, ask: Any
) -> None:
    on_ramp = await an_opened_one(fresh_sessionmaker, clients)
    await ask(clients={})
    row, _ = await now_of(fresh_sessionmaker, on_ramp)
    assert row.status == "pending"


@pytest.mark.parametrize("said", [{"amount": 1}, {"user_id": "another"}, {"reference": "another-reference"}])
async def test_a_session_that_is_not_what_we_asked_for_credits_nothing(
    fresh_sessionmaker: SessionMaker, clients: Clients, visit: Visit, ask: Any, said: dict[str, Any]
) -> None:
    if "reference" in said:
        said = {"reference": new_token()}
    on_ramp = await an_opened_one(fresh_sessionmaker, clients, **said)
    await visit(on_ramp.redirect_url or "", "approve")
    await ask()
    row, balance = await now_of(fresh_sessionmaker, on_ramp)
    assert (row.status, balance) == ("pending", 0)
    assert pause_of(row) > 0


async def test_only_what_is_due_is_asked_about_and_no_more_than_the_limit(
    fresh_sessionmaker: SessionMaker, clients: Clients, ask: Any
) -> None:
    async with fresh_sessionmaker.begin() as session:
        wallet = await create_user(session)
        await create_on_ramp(session, wallet, next_enquiry_at=clock.now() + timedelta(minutes=1))
        for _ in range(3):
            await create_on_ramp(session, wallet)
    assert await ask(limit=2) == 2
    assert await ask(limit=2) == 1
    assert await ask(limit=2) == 0


async def test_a_row_that_another_worker_has_locked_delays_no_other(fresh_sessionmaker: SessionMaker, ask: Any) -> None:
    async with fresh_sessionmaker.begin() as session:
        wallet = await create_user(session)
        busy, free = [await create_on_ramp(session, wallet) for _ in range(2)]
    async with fresh_sessionmaker() as other_worker:
        await other_worker.get_one(OnRamp, busy.id, with_for_update=True)
        async with asyncio.timeout(deadline()):
            assert await ask() == 1
    assert (await now_of(fresh_sessionmaker, free))[0].status == "failure"
    assert (await now_of(fresh_sessionmaker, busy))[0].status == "pending"


async def test_two_workers_at_once_share_the_work_and_credit_once(
    fresh_sessionmaker: SessionMaker, clients: Clients, visit: Visit, ask: Any
) -> None:
    on_ramps = [await an_opened_one(fresh_sessionmaker, clients) for _ in range(6)]
    for on_ramp in on_ramps:
        await visit(on_ramp.redirect_url or "", "approve")
    assert sum(await asyncio.gather(*(ask(limit=4) for _ in range(4)))) == 6
    for on_ramp in on_ramps:
        row, balance = await now_of(fresh_sessionmaker, on_ramp)
        assert (row.status, balance) == ("success", on_ramp.amount)


async def a_bank_that(act: Callable[[], Awaitable[None]], answer: bytes = b"") -> tuple[asyncio.Server, Clients]:
    """A bank during whose answer something else happens."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await act()
        head = b"HTTP/1.1 503 X\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(answer)
        writer.write(head + answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    client = BankClient(BankEndpoint(code="hdfc", name="HDFC", url=url, api_key=SecretStr("k")), deadline())
    return server, {"hdfc": client}


async def test_a_notice_that_comes_while_the_bank_is_asked_stands(fresh_sessionmaker: SessionMaker, ask: Any) -> None:
    async with fresh_sessionmaker.begin() as session:
        on_ramp = await create_on_ramp(session, await create_user(session))

    async def notice() -> None:
        async with fresh_sessionmaker.begin() as session:
            await settle(session, payment_notice(on_ramp))

    server, clients = await a_bank_that(notice)
    await ask(clients=clients)
    await clients["hdfc"].aclose()
    server.close()
    row, balance = await now_of(fresh_sessionmaker, on_ramp)
    assert (row.status, row.next_enquiry_at, balance) == ("success", None, on_ramp.amount)


async def test_one_that_cannot_be_recorded_does_not_stop_the_others(
    fresh_sessionmaker: SessionMaker, ask: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Another worker holds one row locked for longer than we wait."""
    async with fresh_sessionmaker.begin() as session:
        wallet = await create_user(session)
        stuck, free = [await create_on_ramp(session, wallet, is_opened=False) for _ in range(2)]
    blocker = fresh_sessionmaker()

    async def lock() -> None:
        await blocker.get_one(OnRamp, stuck.id, with_for_update=True)

    engine: AsyncEngine = fresh_sessionmaker.kw["bind"]

    @event.listens_for(engine.sync_engine, "begin")
    def wait_little(connection: Any) -> None:
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{deadline(0.2)}s'")

    # Leased by this run, then locked by another worker before the run writes.
    async with fresh_sessionmaker.begin() as session:
        (await session.get_one(OnRamp, stuck.id)).token = new_token()
    server, clients = await a_bank_that(lock)
    try:
        assert await ask(clients=clients) == 2
    finally:
        await blocker.rollback()
        await blocker.close()
        await clients["hdfc"].aclose()
        server.close()
    assert "enquiry not noted" in caplog.text
    assert (await now_of(fresh_sessionmaker, free))[0].status == "failure"
    assert (await now_of(fresh_sessionmaker, stuck))[0].status == "pending"


async def test_many_on_ramps_of_one_owner_delay_no_other_owner(fresh_sessionmaker: SessionMaker) -> None:
    long_ago = clock.now() - timedelta(hours=1)
    async with fresh_sessionmaker.begin() as session:
        flooding = await create_user(session)
        flood = [
            await create_on_ramp(session, flooding, next_enquiry_at=long_ago + timedelta(seconds=number))
            for number in range(10)
        ]
        others = [await create_on_ramp(session, await create_user(session), next_enquiry_at=clock.now()) for _ in "ab"]
    taken = []
    for _ in range(2):
        async with fresh_sessionmaker.begin() as session:
            now = clock.now()
            due = await rows.take_due(session, now=now, leased_until=now + timedelta(hours=1), limit=4)
            taken.append({row.id for row in due})
    assert taken[0] == {flood[0].id, flood[1].id, *(row.id for row in others)}
    assert taken[1] == {row.id for row in flood[2:6]}


async def test_an_enquiry_belongs_to_the_trace_of_the_on_ramp(
    fresh_sessionmaker: SessionMaker, clients: Clients, visit: Visit, ask: Callable[..., Awaitable[int]]
) -> None:
    began = Context(1000, 1, is_recorded=True)
    on_ramp = await an_opened_one(fresh_sessionmaker, clients)
    async with fresh_sessionmaker.begin() as session:
        (await session.get_one(OnRamp, on_ramp.id)).traceparent = began.traceparent
    assert on_ramp.redirect_url is not None
    await visit(on_ramp.redirect_url, "approve")
    with recording() as recorder, spans.begin_trace("task", "consumer") as task:
        assert await ask() == 1
    mine = {span.name: span for span in recorder.recorded if span.context.trace_id == began.trace_id}
    assert mine.keys() == {"on-ramp enquiry", "bank session_state", "notice success"}
    enquiry = mine["on-ramp enquiry"]
    assert (enquiry.parent, enquiry.links) == (began, [task.context])
    assert mine["bank session_state"].parent == enquiry.context
    assert (mine["notice success"].parent, mine["notice success"].links) == (began, [enquiry.context])
