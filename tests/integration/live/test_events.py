"""The events that a page receives while it is open and after a break."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any, Literal
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.auth.sessions import Sessions, SignedIn
from shared.banks.notices import PaymentNotice
from shared.db.engine import SessionMaker
from shared.db.reads import Reads
from shared.ledger.accounts import Wallet, wallet_of
from shared.live import hub, stream
from shared.live.feed import Feed
from shared.models import OnRamp
from shared.on_ramps.settlement import settle
from tests.integration.live.conftest import Served
from tests.support.apps import PIN, Signed, problem
from tests.support.bank_notices import create_on_ramp
from tests.support.deadlines import deadline
from tests.support.events import Listening, listening_to
from tests.support.waiting import eventually_async

WITHDRAWAL: dict[str, Any] = {
    "bank": "hdfc",
    "account_number": "123456781234",
    "ifsc": "HDFC0000001",
    "account_holder": "Asha Rao",
    "amount": 10000,
}


async def settle_as_the_webhook_does(
    sessionmaker: SessionMaker, on_ramp_id: UUID, event: Literal["success", "failure"]
) -> None:
    """Settle without a wake-up."""
    async with sessionmaker.begin() as session:
        row = await session.get_one(OnRamp, on_ramp_id)
        assert row.token is not None
        notice = PaymentNotice(
            bank=row.bank,
            event=event,
            token=row.token,
            user_id=str(row.owner_id),
            amount=row.amount,
            bank_reference="r1",
        )
        await settle(session, notice)


async def new_on_ramp(sessionmaker: SessionMaker, owner: Signed) -> UUID:
    async with sessionmaker.begin() as session:
        return (await create_on_ramp(session, await wallet_of(session, owner.id))).id


async def test_a_stream_begins_with_the_balance(people: Served, asha: Signed) -> None:
    async with listening_to(people.url, asha.token) as page:
        assert page.response.headers["content-type"].startswith("text/event-stream")
        assert page.response.headers["cache-control"] == "no-store"
        retry = await page.next()
        assert retry is not None
        assert retry.data == "retry: 2000"
        balance = await page.next()
        assert balance is not None
        assert (balance.name, balance.data) == ("balance", await asha.wallet())


async def test_a_shop_sees_a_payment_arrive(shops: Served, asha: Signed, shop: Signed) -> None:
    async with listening_to(shops.url, shop.token) as page:
        await page.until("balance", balance=0)
        paid = (await asha.send(shop.wallet_id, 20000, note="chai")).json()
        heard = await page.until("transaction", id=paid["id"])
        assert heard.data == (await shop.get("/transactions")).json()["items"][0]
        assert (heard.data["kind"], heard.data["counterparty"]["name"]) == ("payment", "Asha Rao")
        await page.until("balance", balance=20000)


@pytest.fixture
def only_redis_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is found by looking in Postgres; a wake-up by Redis is waited for, however slow the machine."""
    monkeypatch.setattr(hub, "WATCH_SECONDS", 3600.0)
    monkeypatch.setattr(hub, "SUBSCRIBE_SECONDS", deadline())


@pytest.mark.usefixtures("only_redis_tells")
async def test_with_redis_an_event_needs_no_look_in_postgres(people: Served, asha: Signed) -> None:
    async with listening_to(people.url, asha.token) as page:
        await page.until("balance")
        await asha.post("/withdrawals", **WITHDRAWAL, pin=PIN)
        await page.until("withdrawal", status="queued")


def test_postgres_is_looked_at_every_second() -> None:
    assert hub.WATCH_SECONDS <= 1


async def test_without_redis_an_event_comes_by_a_look_in_postgres(
    people_without_redis: Served, asha: Signed, ravi: Signed
) -> None:
    async with listening_to(people_without_redis.url, ravi.token) as page:
        await page.until("balance")
        await asha.send(ravi.wallet_id, 500)
        await page.until("transaction", amount=500)


@pytest.mark.parametrize(("event", "status"), [("success", "success"), ("failure", "failure")])
async def test_what_the_webhook_settles_comes(
    people: Served, asha: Signed, sessionmaker: SessionMaker, event: Literal["success", "failure"], status: str
) -> None:
    on_ramp_id = await new_on_ramp(sessionmaker, asha)
    async with listening_to(people.url, asha.token) as page:
        await page.until("onramp", id=str(on_ramp_id), status="pending")
        await settle_as_the_webhook_does(sessionmaker, on_ramp_id, event)
        heard = await page.until("onramp", id=str(on_ramp_id), status=status)
        assert heard.data == (await asha.get(f"/on-ramps/{on_ramp_id}")).json()


async def test_what_was_settled_between_the_page_and_its_stream_comes_first(
    people: Served, asha: Signed, sessionmaker: SessionMaker
) -> None:
    on_ramp_id = await new_on_ramp(sessionmaker, asha)
    await settle_as_the_webhook_does(sessionmaker, on_ramp_id, "success")
    async with listening_to(people.url, asha.token) as page:
        await page.until("onramp", id=str(on_ramp_id), status="success")


async def test_a_withdrawal_comes_with_its_position_and_its_latest_step(people: Served, asha: Signed) -> None:
    async with listening_to(people.url, asha.token) as page:
        await page.until("balance")
        first = (await asha.post("/withdrawals", **WITHDRAWAL, pin=PIN)).json()
        second = (await asha.post("/withdrawals", **WITHDRAWAL, pin=PIN)).json()
        await page.until("withdrawal", id=second["id"], position=2)
        await page.until("balance", held=20000)
        await asha.post(f"/withdrawals/{first['id']}/cancel")
        cancelled = await page.until("withdrawal", id=first["id"], status="cancelled")
        assert cancelled.data["latest"]["kind"] == "cancelled"
        assert cancelled.data["account_number"] == "XXXXXX1234"
        await page.until("withdrawal", id=second["id"], position=1)


async def movements_until(page: Listening, last_id: str) -> list[str]:
    heard: list[str] = []
    while not heard or heard[-1] != last_id:
        heard.append((await page.until("transaction")).data["id"])
    return heard


async def test_after_a_break_every_missed_transaction_comes_once_and_in_order(
    people: Served, asha: Signed, ravi: Signed
) -> None:
    async with listening_to(people.url, ravi.token) as page:
        await page.until("balance")
        first = (await asha.send(ravi.wallet_id, 100)).json()["id"]
        last_id = (await page.until("transaction", id=first)).id
    missed = [(await asha.send(ravi.wallet_id, 100 + number)).json()["id"] for number in range(5)]
    async with listening_to(people.url, ravi.token, last_event_id=last_id) as page:
        assert await movements_until(page, missed[-1]) == missed
        later = (await asha.send(ravi.wallet_id, 1)).json()["id"]
        assert await movements_until(page, later) == [later]
    async with listening_to(people.url, ravi.token, after=last_id) as page:
        assert await movements_until(page, later) == [*missed, later]


async def test_after_a_long_break_the_newest_transactions_come_in_batches(
    people: Served, asha: Signed, ravi: Signed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.live.feed.BATCH", 3)
    monkeypatch.setattr("shared.live.feed.MAX_REPLAYED", 7)
    sent = [(await asha.send(ravi.wallet_id, 100)).json()["id"] for _ in range(10)]
    async with listening_to(people.url, ravi.token, last_event_id="0-0") as page:
        assert await movements_until(page, sent[-1]) == sent[-7:]


@pytest.mark.parametrize("cursor", ["", "nonsense", "-", "1-", "99999999-1795167000000000", "1-99999999999999999999"])
async def test_an_invalid_cursor_counts_as_none(people: Served, asha: Signed, cursor: str) -> None:
    async with listening_to(people.url, asha.token, last_event_id=cursor) as page:
        await page.until("balance", balance=1000_00)


async def test_a_stream_has_no_events_of_other_owners(people: Served, asha: Signed, ravi: Signed, shop: Signed) -> None:
    async with listening_to(people.url, ravi.token) as page:
        await page.until("balance")
        await asha.send(shop.wallet_id, 500)
        await asha.send(ravi.wallet_id, 700)
        heard = await page.until("transaction")
        assert heard.data["amount"] == 700


async def test_a_stream_ends_soon_after_its_session(
    people: Served, asha: Signed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT_SECONDS", 0.2)
    async with listening_to(people.url, asha.token) as page:
        await page.until("balance")
        await asha.post("/auth/logout", key=None)
        while (heard := await page.next()) is not None:
            assert heard.name == "comment"


async def test_a_stream_ends_when_its_session_is_revoked(people: Served, asha: Signed, ravi: Signed) -> None:
    async with listening_to(people.url, ravi.token) as page:
        await page.until("balance")
        await ravi.post("/auth/logout", key=None)
        await asha.send(ravi.wallet_id, 500)
        while (heard := await page.next()) is not None:
            assert heard.name == "comment"


async def test_comments_keep_an_idle_stream_alive(
    people: Served, asha: Signed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT_SECONDS", 0.1)
    async with listening_to(people.url, asha.token) as page:
        await page.until("balance")
        for _ in range(3):
            heard = await page.next()
            assert heard is not None
            assert heard.data == ": still here"


async def test_an_open_stream_holds_no_database_connection(people: Served, asha: Signed) -> None:
    engine: AsyncEngine = people.app.state.resources.engine
    async with listening_to(people.url, asha.token) as page:
        await page.until("balance")

        async def is_free() -> bool:
            return not engine.pool.checkedout()  # type: ignore[attr-defined]  # a queue pool's

        await eventually_async(is_free, "every connection is back in the pool")


async def test_the_streams_of_one_owner_are_limited(
    people: Served, asha: Signed, ravi: Signed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "MAX_PER_OWNER", 2)
    async with httpx.AsyncClient(base_url=people.url, trust_env=False) as client:
        headers = {"Authorization": f"Bearer {asha.token}"}
        async with listening_to(people.url, asha.token), listening_to(people.url, asha.token):
            refused = await client.get("/api/v1/events", headers=headers)
            problem(refused, 429, "too_many_streams")
            assert int(refused.headers["retry-after"]) > 0
            async with listening_to(people.url, ravi.token) as other:
                await other.until("balance")
    await until_every_stream_is_closed(people)


async def test_the_streams_of_one_owner_share_the_readings(
    people: Served, asha: Signed, ravi: Signed, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[int] = []
    count_of = hub.Hub.count_of

    def noted(self: hub.Hub, listener: hub.Listener) -> int:
        pauses.append(count_of(self, listener))
        return pauses[-1]

    monkeypatch.setattr(hub.Hub, "count_of", noted)
    async with listening_to(people.url, asha.token) as first, listening_to(people.url, ravi.token) as other:
        await first.until("balance")
        await other.until("balance")
        assert set(pauses) == {1}
        async with listening_to(people.url, asha.token) as second:
            await second.until("balance")
            await eventually_async(partial(told, pauses, 2), "a stream pauses for both")
    await until_every_stream_is_closed(people)


@pytest.mark.parametrize("entries", [0, 1])
async def test_no_transaction_is_missed_when_a_server_that_is_behind_answers(
    people: Served, asha: Signed, ravi: Signed, monkeypatch: pytest.MonkeyPatch, entries: int
) -> None:
    """As behind a pooler whose connections lead to a standby: the check of the session knows one entry more."""
    for _ in range(entries):
        await asha.send(ravi.wallet_id, 100)
    is_behind, ahead = False, 0
    check = Sessions.check

    async def from_the_primary(self: Sessions, token: str, **how: bool) -> SignedIn:
        nonlocal ahead
        found = await check(self, token, **how)
        if not is_behind or token != ravi.token:
            return found
        ahead += 1
        return replace(found, wallet=replace(found.wallet, seq=found.wallet.seq + 1))

    async def has_been_behind() -> bool:
        return ahead > 0

    monkeypatch.setattr(Sessions, "check", from_the_primary)
    async with listening_to(people.url, ravi.token) as page:
        await page.until("balance")
        is_behind = True
        await asha.send(ravi.wallet_id, 500)
        await eventually_async(has_been_behind, "a reading meets the other server")
        is_behind = False
        await asha.send(ravi.wallet_id, 700)
        heard = [await page.until("transaction") for _ in range(2)]
    assert [each.data["amount"] for each in heard] == [500, 700]


async def test_the_streams_of_one_owner_read_in_turn(
    people: Served, asha: Signed, ravi: Signed, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = 0
    together: list[int] = []
    read_events = Feed.read_events

    async def noted(self: Feed, reads: Reads, wallet: Wallet, asked_at: datetime) -> Any:
        nonlocal reading
        reading += 1
        together.append(reading)
        try:
            await asyncio.sleep(0.05)  # long enough for the others to begin, if they may
            return await read_events(self, reads, wallet, asked_at)
        finally:
            reading -= 1

    monkeypatch.setattr(Feed, "read_events", noted)

    async def until_balance(owner: Signed) -> None:
        async with listening_to(people.url, owner.token) as page:
            await page.until("balance")

    await asyncio.gather(*(until_balance(asha) for _ in range(4)))
    assert set(together) == {1}
    together.clear()
    async with asyncio.timeout(deadline()):
        while max(together, default=0) < 2:  # another owner's need not wait for them
            await asyncio.gather(until_balance(asha), until_balance(ravi))
    await until_every_stream_is_closed(people)


async def told(pauses: list[int], count: int) -> bool:
    return count in pauses


async def until_every_stream_is_closed(served: Served) -> None:
    async def are_closed() -> bool:
        return bool(served.app.state.hub.count == 0)

    await eventually_async(are_closed, "every stream that was left is closed")


async def test_a_closed_page_frees_its_stream(people: Served, asha: Signed) -> None:
    for _ in range(12):
        async with listening_to(people.url, asha.token) as page:
            await page.until("balance")
    await until_every_stream_is_closed(people)


async def test_a_stream_needs_a_token_or_the_cookie(people: Served, shops: Served, asha: Signed) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        problem(await client.get(f"{people.url}/api/v1/events"), 401, "authentication_required")
        bearer = {"Authorization": f"Bearer {asha.token}"}
        problem(await client.get(f"{shops.url}/api/v1/events", headers=bearer), 401, "token_invalid")
        cookie = {"Cookie": f"session={asha.token}"}
        async with client.stream("GET", f"{people.url}/api/v1/events", headers=cookie) as response:
            assert response.status_code == 200


async def test_a_transfer_to_a_pot_is_an_event_of_the_wallet(
    people: Served, asha: Signed, sessionmaker: SessionMaker
) -> None:
    pot = (await asha.post("/accounts", key=None, name="Goa")).json()["id"]
    async with listening_to(people.url, asha.token) as page:
        await page.until("balance")
        await asha.send(pot, 2500)
        heard = await page.until("transaction", amount=2500)
        assert heard.data["counterparty"]["name"] == "Goa"
    async with sessionmaker() as session:
        assert await session.scalar(select(OnRamp.id).where(OnRamp.owner_id == asha.id)) is None
