"""Start an on-ramp at a bank that answers, does not answer, or answers after the caller has left."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr
from sqlalchemy import select, text

from shared import clock
from shared.banks.client import BankClient
from shared.banks.errors import BankUnavailable
from shared.banks.settings import BankEndpoint
from shared.config import OnRampSettings
from shared.db.engine import SessionMaker
from shared.http.keyed_requests import START_ON_RAMP
from shared.idempotency import store
from shared.idempotency.claims import Answer
from shared.idempotency.errors import IdempotencyKeyReused, RequestInFlight
from shared.idempotency.keyed_request import KeyedRequest
from shared.idempotency.marks import Marks
from shared.ids import new_token
from shared.models import Account, OnRamp
from shared.models.on_ramp import OnRampStatus
from shared.on_ramps import commands, queries
from shared.on_ramps.errors import OnRampNotFound, TooManyOnRamps, UnknownBank
from shared.on_ramps.settlement import settle
from shared.on_ramps.views import OnRampView
from tests.support.bank_notices import create_on_ramp, payment_notice
from tests.support.deadlines import ENOUGH_SECONDS, deadline
from tests.support.factories import create_user
from tests.support.waiting import eventually_async

Clients = dict[str, BankClient]
Misbehave = Callable[..., Awaitable[None]]


async def a_wallet(sessionmaker: SessionMaker) -> Account:
    async with sessionmaker.begin() as session:
        return await create_user(session)


def keyed(wallet: Account, *, key: str | None = None) -> KeyedRequest[OnRampView]:
    assert wallet.owner_id is not None
    return START_ON_RAMP.request(wallet.owner_id, key or new_token())


async def rows_of(sessionmaker: SessionMaker, wallet: Account) -> list[OnRamp]:
    async with sessionmaker() as session:
        found = await session.execute(select(OnRamp).where(OnRamp.account_id == wallet.id).order_by(OnRamp.id))
        return list(found.scalars())


@pytest.fixture
def start(sessionmaker: SessionMaker, clients: Clients, settings: OnRampSettings) -> Callable[..., Awaitable[Answer]]:
    async def start(
        request: KeyedRequest[OnRampView], *, bank: str = "hdfc", amount: int = 20000, through: Clients | None = None
    ) -> Answer:
        return await commands.start(
            request,
            bank=bank,
            amount=amount,
            sessionmaker=sessionmaker,
            clients=through or clients,
            marks=Marks(sessionmaker),
            settings=settings,
        )

    return start


def a_session(token: str | None = None) -> bytes:
    """What a bank answers that opened a session."""
    return json.dumps({"token": token or new_token(), "url": "https://bank.example/x"}).encode()


@asynccontextmanager
async def a_bank_that_waits(
    goes_on: asyncio.Event, *, session: bytes | None = None, timeout_seconds: float = ENOUGH_SECONDS
) -> AsyncIterator[Clients]:
    """A bank that does nothing until `goes_on` is set: it then answers with the session, or hangs up without one."""

    handling: set[asyncio.Task[Any]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        handling.add(task)
        with suppress(asyncio.CancelledError):
            await reader.readuntil(b"\r\n\r\n")
            await goes_on.wait()
            if session is not None:
                head = b"HTTP/1.1 201 Created\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
                writer.write(head % len(session) + session)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    bank = BankEndpoint(code="hdfc", name="HDFC", url=url, api_key=SecretStr("k"))
    client = BankClient(bank, deadline(timeout_seconds))
    yield {"hdfc": client}
    await client.aclose()
    server.close()
    for task in handling:
        task.cancel()
    await asyncio.gather(*handling)


async def test_the_answer_sends_the_person_to_the_banks_page(
    sessionmaker: SessionMaker, clients: Clients, start: Any
) -> None:
    wallet = await a_wallet(sessionmaker)
    before = clock.now()
    with clock.reading(lambda: before):
        answer = await start(keyed(wallet))
    (row,) = await rows_of(sessionmaker, wallet)
    assert (answer.status, answer.is_replayed) == (201, False)
    assert answer.body | {"id": str(row.id), "status": "pending", "bank": "hdfc", "amount": 20000} == answer.body
    assert answer.body["redirect_url"] == row.redirect_url
    assert row.next_enquiry_at is not None
    assert timedelta(seconds=600) <= row.next_enquiry_at - before < timedelta(seconds=605)
    assert row.token is not None
    state = await clients["hdfc"].session_state(row.token)
    assert state is not None
    assert (state.reference, state.user_id, state.amount) == (str(row.id), str(wallet.owner_id), 20000)


async def test_the_same_key_again_gets_the_same_answer_and_no_second_session(
    sessionmaker: SessionMaker, start: Any
) -> None:
    wallet = await a_wallet(sessionmaker)
    request = keyed(wallet)
    first = await start(request)
    again = await start(request)
    assert (again.status, again.body, again.is_replayed) == (first.status, first.body, True)
    assert len(await rows_of(sessionmaker, wallet)) == 1
    with pytest.raises(IdempotencyKeyReused):
        await start(keyed(wallet, key=request.key), amount=1)


async def test_of_ten_at_once_with_one_key_one_opens(sessionmaker: SessionMaker, start: Any) -> None:
    wallet = await a_wallet(sessionmaker)
    request = keyed(wallet)
    results = await asyncio.gather(*(start(request) for _ in range(10)), return_exceptions=True)
    answers = [result for result in results if isinstance(result, Answer)]
    assert {type(result) for result in results} <= {Answer, RequestInFlight}
    assert len({answer.body["id"] for answer in answers}) == 1
    assert len(await rows_of(sessionmaker, wallet)) == 1


async def test_a_bank_we_do_not_know_leaves_no_trace(sessionmaker: SessionMaker, start: Any) -> None:
    wallet = await a_wallet(sessionmaker)
    with pytest.raises(UnknownBank) as refused:
        await start(keyed(wallet), bank="sbi")
    assert [error.field for error in refused.value.errors] == ["bank"]
    assert await rows_of(sessionmaker, wallet) == []


@pytest.mark.parametrize("is_down", [True, False], ids=["down", "too slow"])
async def test_a_bank_that_gives_no_session_fails_the_row_and_frees_the_key(
    sessionmaker: SessionMaker, misbehave: Misbehave, start: Any, is_down: bool
) -> None:
    wallet = await a_wallet(sessionmaker)
    request = keyed(wallet)
    await misbehave("hdfc", down=is_down)
    async with a_bank_that_waits(asyncio.Event(), timeout_seconds=1) as too_slow:
        with pytest.raises(BankUnavailable):
            await start(request, through=None if is_down else too_slow)
    (row,) = await rows_of(sessionmaker, wallet)
    assert (row.status, row.failure_reason, row.next_enquiry_at) == ("failure", "bank_unavailable", None)
    await misbehave("hdfc")
    assert (await start(request)).is_replayed is False
    assert [row.status for row in await rows_of(sessionmaker, wallet)] == ["failure", "pending"]


async def test_a_wrong_key_at_the_bank_is_the_banks_unavailability(
    sessionmaker: SessionMaker, bank_url: str, start: Any
) -> None:
    wallet = await a_wallet(sessionmaker)
    client = BankClient(
        BankEndpoint(code="hdfc", name="HDFC", url=f"{bank_url}/hdfc", api_key=SecretStr("wrong")), deadline()
    )
    with pytest.raises(BankUnavailable) as unavailable:
        await start(keyed(wallet), through={"hdfc": client})
    await client.aclose()
    assert unavailable.value.retry_after_seconds > 0


async def leave_behind(
    sessionmaker: SessionMaker, wallet: Account, request: KeyedRequest[OnRampView], *, seconds_ago: int
) -> OnRamp:
    """What a process leaves that died while it was asking the bank."""
    async with sessionmaker.begin() as session:
        assert await store.claim_one(session, request.claim(bank="hdfc", amount=20000)) is None
        on_ramp = await create_on_ramp(session, wallet, is_opened=False)
        on_ramp.idempotency_key = request.key
        await session.execute(
            text("UPDATE idempotency_keys SET created_at = :then WHERE key = :key"),
            {"then": clock.now() - timedelta(seconds=seconds_ago), "key": request.key},
        )
    return on_ramp


async def test_a_retry_after_a_crash_takes_up_the_row_that_was_left(sessionmaker: SessionMaker, start: Any) -> None:
    wallet = await a_wallet(sessionmaker)
    request = keyed(wallet)
    left = await leave_behind(sessionmaker, wallet, request, seconds_ago=31)
    answer = await start(request)
    assert answer.body["id"] == str(left.id)
    (row,) = await rows_of(sessionmaker, wallet)
    assert row.token is not None


async def test_a_request_that_may_be_under_way_is_not_taken_up(sessionmaker: SessionMaker, start: Any) -> None:
    wallet = await a_wallet(sessionmaker)
    request = keyed(wallet)
    await leave_behind(sessionmaker, wallet, request, seconds_ago=5)
    with pytest.raises(RequestInFlight):
        await start(request)


async def test_two_attempts_at_one_request_end_with_one_session(
    sessionmaker: SessionMaker, misbehave: Misbehave, start: Any
) -> None:
    """The first was only slow, the key was taken for abandoned: both get the same session, by its reference."""
    wallet = await a_wallet(sessionmaker)
    request = keyed(wallet)
    await misbehave("hdfc", latency_ms=round(deadline(0.8) * 1000))
    slow = asyncio.create_task(start(request))
    await until_row(sessionmaker, wallet)
    await let_be_abandoned(sessionmaker, request)
    second = await start(request)
    first = await slow
    assert first.body == second.body
    assert len(await rows_of(sessionmaker, wallet)) == 1


async def let_be_abandoned(sessionmaker: SessionMaker, request: KeyedRequest[OnRampView]) -> None:
    """Let the attempt that claimed the key be slower than any should be."""
    older = "UPDATE idempotency_keys SET created_at = created_at - interval '1 minute' WHERE key = :key"
    async with sessionmaker.begin() as session:
        await session.execute(text(older), {"key": request.key})


async def until_row(sessionmaker: SessionMaker, wallet: Account) -> OnRamp:
    return (await eventually_async(lambda: rows_of(sessionmaker, wallet), "the on-ramp is written"))[0]


@pytest.mark.parametrize("answers", [True, False])
async def test_an_on_ramp_is_brought_to_an_end_when_its_caller_leaves(
    sessionmaker: SessionMaker, start: Any, answers: bool
) -> None:
    wallet = await a_wallet(sessionmaker)
    request = keyed(wallet)
    goes_on = asyncio.Event()
    async with a_bank_that_waits(goes_on, session=a_session() if answers else None) as bank:
        work = asyncio.create_task(start(request, through=bank))
        await until_row(sessionmaker, wallet)
        work.cancel()
        goes_on.set()
        with pytest.raises(asyncio.CancelledError):
            await work
    (row,) = await rows_of(sessionmaker, wallet)
    if answers:
        assert row.token is not None
        assert (await start(request)).is_replayed
    else:
        assert row.status == "failure"
        assert not (await start(request)).is_replayed


async def test_a_row_that_failed_during_the_call_is_not_offered_but_its_token_is_kept(
    sessionmaker: SessionMaker, start: Any
) -> None:
    wallet = await a_wallet(sessionmaker)
    goes_on = asyncio.Event()
    async with a_bank_that_waits(goes_on, session=a_session()) as bank:
        work = asyncio.create_task(start(keyed(wallet), through=bank))
        row = await until_row(sessionmaker, wallet)
        async with sessionmaker.begin() as session:
            given_up = await session.get_one(OnRamp, row.id)
            given_up.status, given_up.settled_at = OnRampStatus.FAILURE, clock.now()
        goes_on.set()
        with pytest.raises(BankUnavailable):
            await work
    (row,) = await rows_of(sessionmaker, wallet)
    assert row.status == "failure"
    assert row.token is not None


async def test_an_attempt_that_fails_after_another_got_the_session_answers_with_it(
    sessionmaker: SessionMaker, start: Any
) -> None:
    wallet = await a_wallet(sessionmaker)
    goes_on = asyncio.Event()
    async with a_bank_that_waits(goes_on) as bank:
        work = asyncio.create_task(start(keyed(wallet), through=bank))
        row = await until_row(sessionmaker, wallet)
        async with sessionmaker.begin() as session:
            opened = await session.get_one(OnRamp, row.id)
            opened.token, opened.redirect_url = new_token(), "https://bank.example/other"
        goes_on.set()
        assert (await work).body["redirect_url"] == "https://bank.example/other"


@pytest.mark.parametrize("answer", [None, a_session("late")], ids=["no session", "a session"])
async def test_a_late_attempt_forgets_no_answer(sessionmaker: SessionMaker, start: Any, answer: bytes | None) -> None:
    """The second failed and freed the key, and the third has its answer: a repeat begins no further on-ramp."""
    wallet = await a_wallet(sessionmaker)
    request = keyed(wallet)
    goes_on, at_once = asyncio.Event(), asyncio.Event()
    at_once.set()
    async with a_bank_that_waits(goes_on, session=answer) as slow, a_bank_that_waits(at_once) as broken:
        first = asyncio.create_task(start(request, through=slow))
        await until_row(sessionmaker, wallet)
        await let_be_abandoned(sessionmaker, request)
        with pytest.raises(BankUnavailable):
            await start(request, through=broken)
        third = await start(request)
        goes_on.set()
        assert (await first).body == third.body
    again = await start(request)
    assert (again.is_replayed, again.body) == (True, third.body)
    assert len(await rows_of(sessionmaker, wallet)) == 2


async def test_a_token_the_bank_gave_before_is_no_session(sessionmaker: SessionMaker, start: Any) -> None:
    """The second row would be settled by the first's payment."""
    wallet = await a_wallet(sessionmaker)
    first = await start(keyed(wallet))
    (row,) = await rows_of(sessionmaker, wallet)
    at_once = asyncio.Event()
    at_once.set()
    async with a_bank_that_waits(at_once, session=a_session(row.token)) as again:
        with pytest.raises(BankUnavailable):
            await start(keyed(wallet), through=again)
    rows = await rows_of(sessionmaker, wallet)
    assert [(each.status, each.token) for each in rows] == [("pending", row.token), ("failure", None)]
    assert first.body["id"] == str(rows[0].id)


async def test_an_on_ramp_of_another_owner_is_not_found(sessionmaker: SessionMaker) -> None:
    mine, yours = await a_wallet(sessionmaker), await a_wallet(sessionmaker)
    assert mine.owner_id is not None
    assert yours.owner_id is not None
    async with sessionmaker.begin() as session:
        on_ramp = await create_on_ramp(session, mine)
    async with sessionmaker() as session:
        found = await queries.get_on_ramp(session, owner_id=mine.owner_id, on_ramp_id=on_ramp.id)
        assert found.id == on_ramp.id
        with pytest.raises(OnRampNotFound):
            await queries.get_on_ramp(session, owner_id=yours.owner_id, on_ramp_id=on_ramp.id)
        assert await queries.list_on_ramps(session, owner_id=yours.owner_id, limit=5) == ([], None)


async def test_pages_go_from_the_newest_to_the_oldest_and_end(sessionmaker: SessionMaker) -> None:
    wallet = await a_wallet(sessionmaker)
    assert wallet.owner_id is not None
    async with sessionmaker.begin() as session:
        made = [(await create_on_ramp(session, wallet)).id for _ in range(5)]
    seen: list[UUID] = []
    before: UUID | None = None
    for size in (2, 2, 1):
        async with sessionmaker() as session:
            page, before = await queries.list_on_ramps(session, owner_id=wallet.owner_id, limit=2, before=before)
        assert len(page) == size
        seen += [row.id for row in page]
    assert before is None
    assert seen == made[::-1]


async def test_one_owner_has_only_so_many_open_at_once_however_fast_they_ask(
    sessionmaker: SessionMaker, start: Any
) -> None:
    wallet, other = await a_wallet(sessionmaker), await a_wallet(sessionmaker)
    asked = [start(keyed(wallet)) for _ in range(commands.MAX_PENDING + 5)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, TooManyOnRamps)]
    assert (len(refused), len(answers) - len(refused)) == (5, commands.MAX_PENDING)
    assert 590 < refused[0].retry_after_seconds <= 601
    assert len(await rows_of(sessionmaker, wallet)) == commands.MAX_PENDING
    assert (await start(keyed(other))).status == 201

    ended = (await rows_of(sessionmaker, wallet))[0]
    async with sessionmaker.begin() as session:
        await settle(session, payment_notice(ended))
    again = keyed(wallet)
    assert (await start(again)).status == 201
    with pytest.raises(TooManyOnRamps):
        await start(keyed(wallet))
    assert (await start(again)).is_replayed
