"""Deliveries taken in together: whatever comes in one batch ends as if it had come one by one."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

import asyncpg
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.bank_webhook import inbox as inbox_module
from services.bank_webhook.errors import NotCommitted
from services.bank_webhook.gate import Delivery
from services.bank_webhook.inbox import Inbox
from services.bank_webhook.settings import BankWebhookSettings
from shared import clock
from shared.banks.signatures import SignatureInvalid, sign, verify
from shared.callers import Caller, CallerLeft
from shared.db.engine import SessionMaker
from shared.ids import new_id, new_token
from shared.ledger.accounts import wallet_of
from shared.models import Account, Entry, OnRamp, OutboxMessage, WebhookDelivery
from shared.models.webhook_delivery import Verdict
from shared.on_ramps.settlement import settle
from shared.runtime.database import open_database
from shared.spans import Context
from tests.support.bank_notices import HDFC_SECRET, create_on_ramp, payment_notice, webhook_values
from tests.support.deadlines import deadline
from tests.support.factories import create_user
from tests.support.locks import locked
from tests.support.recorded_spans import recording
from tests.support.waiting import until_a_lock_is_awaited


@asynccontextmanager
async def an_inbox(database_url: str, *, within_seconds: float = 60) -> AsyncIterator[Inbox]:
    """The inbox of one process."""
    seconds = deadline(within_seconds)
    settings = BankWebhookSettings(**webhook_values(database_url, database_lock_timeout_seconds=seconds))
    async with open_database(settings, application_name="bank_webhook") as database:
        inbox = Inbox(database, within_seconds=seconds)
        yield inbox
        await inbox.close()


@pytest.fixture
async def inbox(database_url: str) -> AsyncIterator[Inbox]:
    async with an_inbox(database_url) as inbox:
        yield inbox


async def on_ramps_of(sessionmaker: SessionMaker, count: int) -> list[OnRamp]:
    async with sessionmaker.begin() as session:
        return [await create_on_ramp(session, await create_user(session)) for _ in range(count)]


def delivery(on_ramp: OnRamp, event: Literal["success", "failure"] = "success", **changes: Any) -> Delivery:
    return Delivery(new_token(), payment_notice(on_ramp, event, **changes))


async def take_in(inbox: Inbox, deliveries: Sequence[Delivery]) -> list[Verdict]:
    """What arrives while the inbox is idle is one batch."""
    return await asyncio.gather(*map(inbox.take_in, deliveries))


async def credited(sessionmaker: SessionMaker, on_ramp: OnRamp) -> tuple[str, int, int]:
    """The status, the balance, and how many entries made it."""
    async with sessionmaker() as session:
        wallet = await wallet_of(session, on_ramp.owner_id)
        entries = await session.scalar(select(func.count()).select_from(Entry).where(Entry.account_id == wallet.id))
        return (await session.get_one(OnRamp, on_ramp.id)).status, wallet.balance, entries or 0


async def kept(sessionmaker: SessionMaker, deliveries: Sequence[Delivery]) -> Counter[str]:
    async with sessionmaker() as session:
        named = WebhookDelivery.webhook_id.in_([each.webhook_id for each in deliveries])
        return Counter((await session.execute(select(WebhookDelivery.verdict).where(named))).scalars())


@asynccontextmanager
async def being_kept(sessionmaker: SessionMaker, delivery: Delivery) -> AsyncIterator[None]:
    """Another connection inserts the inbox row and, at the end of the block, takes it back."""
    row = WebhookDelivery(id=new_id(), bank=delivery.notice.bank, webhook_id=delivery.webhook_id, payload={})
    row.verdict, row.received_at = Verdict.NOTED, clock.now()
    async with sessionmaker() as blocker:
        blocker.add(row)
        await blocker.flush()
        yield
        await blocker.rollback()


@dataclass(frozen=True)
class Said:
    """A delivery in a made-up history: which webhook id, which on-ramp (None: none of ours), and what it says."""

    name: int
    on_ramp: int | None
    event: Literal["success", "failure"] = "success"
    is_amount_right: bool = True
    is_user_right: bool = True
    reference: str | None = "UTR1"


ON_RAMPS = 2
histories = st.lists(
    st.lists(
        st.builds(
            Said,
            name=st.integers(0, 3),
            on_ramp=st.sampled_from([0, 0, 1, 1, None]),
            event=st.sampled_from(["success", "failure"]),
            is_amount_right=st.sampled_from([True, True, True, False]),
            is_user_right=st.sampled_from([True, True, True, False]),
            reference=st.sampled_from(["UTR1", "UTR2"]),
        ),
        min_size=1,
        max_size=6,
    ),
    max_size=4,
)


@dataclass
class World:
    """People of its own, to whom a history happens."""

    on_ramps: list[OnRamp]
    prefix: str

    def delivery(self, said: Said) -> Delivery:
        about = self.on_ramps[said.on_ramp or 0]
        notice = payment_notice(about, said.event, bank_reference=said.reference)
        if said.on_ramp is None:
            notice = replace(notice, token=f"unheard-of-{self.prefix}")
        if not said.is_amount_right:
            notice = replace(notice, amount=notice.amount + 1)
        if not said.is_user_right:
            notice = replace(notice, user_id="another")
        return Delivery(f"{self.prefix}-{said.name}", notice)

    async def end(self, sessionmaker: SessionMaker) -> Any:
        """Everything that the history left behind, without ids and times."""
        async with sessionmaker() as session:
            rows = [await session.get_one(OnRamp, on_ramp.id) for on_ramp in self.on_ramps]
            places = {row.id: place for place, row in enumerate(rows)}
            owners = [row.owner_id for row in rows]
            mails = await session.execute(select(OutboxMessage).where(OutboxMessage.owner_id.in_(owners)))
            mine = WebhookDelivery.webhook_id.startswith(self.prefix, autoescape=True)
            inbox = (await session.execute(select(WebhookDelivery).where(mine))).scalars()
            told = Counter(
                (row.webhook_id.removeprefix(self.prefix).partition(" ")[0], " " in row.webhook_id, row.verdict,
                 places.get(row.on_ramp_id) if row.on_ramp_id else None)
                for row in inbox
            )  # fmt: skip
            facts = [
                (row.status, row.bank_reference, row.failure_reason, row.is_late_success, row.is_contradicted,
                 row.transfer_id is not None, row.settled_at is not None, row.next_enquiry_at is not None)
                for row in rows
            ]  # fmt: skip
            sent = Counter(owners.index(mail.owner_id) for mail in mails.scalars())
        return facts, [await credited(sessionmaker, row) for row in rows], sent, told


async def a_world(sessionmaker: SessionMaker) -> World:
    return World(await on_ramps_of(sessionmaker, ON_RAMPS), new_token())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(histories)
@example([[Said(0, 0), Said(0, 0), Said(1, 0), Said(2, 0, "failure")]])
@example([[Said(0, 0, "failure"), Said(1, 0), Said(0, 1)], [Said(0, 1)]])
@example([[Said(0, None), Said(0, None), Said(0, 0, is_amount_right=False), Said(1, 0)]])
async def test_any_split_into_batches_ends_as_one_by_one(
    sessionmaker: SessionMaker, database_url: str, batches: list[list[Said]]
) -> None:
    alone, together = await a_world(sessionmaker), await a_world(sessionmaker)
    async with an_inbox(database_url) as inbox:
        expected = [[await inbox.take_in(alone.delivery(said)) for said in batch] for batch in batches]
        found = [await take_in(inbox, [together.delivery(said) for said in batch]) for batch in batches]
    assert found == expected
    assert await together.end(sessionmaker) == await alone.end(sessionmaker)


async def test_what_arrives_together_is_committed_together(sessionmaker: SessionMaker, inbox: Inbox) -> None:
    deliveries = [delivery(on_ramp) for on_ramp in await on_ramps_of(sessionmaker, 30)]
    assert await take_in(inbox, deliveries) == [Verdict.SETTLED] * 30
    async with sessionmaker() as session:
        transactions = select(func.count(func.distinct(text("xmin::text")))).select_from(WebhookDelivery)
        named = WebhookDelivery.webhook_id.in_([each.webhook_id for each in deliveries])
        assert await session.scalar(transactions.where(named)) == 1


async def test_each_of_a_batch_belongs_to_the_trace_of_its_on_ramp_and_names_that_of_its_delivery(
    sessionmaker: SessionMaker, inbox: Inbox
) -> None:
    on_ramps = await on_ramps_of(sessionmaker, 3)
    began = [Context(1000 + number, 1, is_recorded=number != 1) for number in range(3)]
    brought = [Context(2000 + number, 2, is_recorded=True) for number in range(3)]
    async with sessionmaker.begin() as session:
        for on_ramp, trace in zip(on_ramps, began, strict=True):
            (await session.get_one(OnRamp, on_ramp.id)).traceparent = trace.traceparent
    deliveries = [replace(delivery(on_ramp), trace=trace) for on_ramp, trace in zip(on_ramps, brought, strict=True)]
    with recording() as recorder:
        assert await take_in(inbox, deliveries) == [Verdict.SETTLED] * 3
    notices = [span for span in recorder.recorded if span.name == "notice success"]
    assert [(span.parent, span.links) for span in notices] == [(began[n], [brought[n]]) for n in (0, 2)]
    assert [span.attributes for span in notices] == [
        {"batua.on_ramp_id": str(on_ramps[n].id), "batua.verdict": "settled"} for n in (0, 2)
    ]


async def test_the_ledgers_rejection_of_one_fails_none_of_its_neighbours(
    sessionmaker: SessionMaker, inbox: Inbox
) -> None:
    on_ramps = await on_ramps_of(sessionmaker, 5)
    async with sessionmaker.begin() as session:
        (await session.get_one(Account, on_ramps[2].account_id)).closed_at = clock.now()
    deliveries = [delivery(on_ramp) for on_ramp in on_ramps]
    found = await asyncio.gather(*map(inbox.take_in, deliveries), return_exceptions=True)
    assert isinstance(found.pop(2), NotCommitted)
    assert found == [Verdict.SETTLED] * 4
    assert await kept(sessionmaker, deliveries[2:3]) == {}
    assert await kept(sessionmaker, deliveries) == {Verdict.SETTLED: 4}


async def test_an_error_of_the_database_about_one_fails_none_of_its_neighbours(
    sessionmaker: SessionMaker, inbox: Inbox
) -> None:
    deliveries = [delivery(on_ramp) for on_ramp in await on_ramps_of(sessionmaker, 3)]
    deliveries[0] = replace(deliveries[0], webhook_id="no text of Postgres: \0")
    bad, *others = await asyncio.gather(*map(inbox.take_in, deliveries), return_exceptions=True)
    assert isinstance(bad, NotCommitted)
    assert others == [Verdict.SETTLED] * 2


async def test_no_bank_can_send_an_id_that_we_give_to_a_second_message_under_one_id(
    sessionmaker: SessionMaker, inbox: Inbox
) -> None:
    first, second = [delivery(on_ramp) for on_ramp in await on_ramps_of(sessionmaker, 2)]
    second = replace(second, webhook_id=first.webhook_id)
    assert await take_in(inbox, [first, second]) == [Verdict.SETTLED] * 2
    assert await take_in(inbox, [first, second]) == [Verdict.DUPLICATE] * 2
    async with sessionmaker() as session:
        ours = WebhookDelivery.webhook_id.startswith(first.webhook_id, autoescape=True)
        names = (await session.execute(select(WebhookDelivery.webhook_id).where(ours))).scalars()
        (given,) = set(names) - {first.webhook_id}
    headers = sign(HDFC_SECRET, given, clock.now(), b"{}")
    with pytest.raises(SignatureInvalid, match="webhook-id"):
        verify([HDFC_SECRET], headers, b"{}", now=clock.now())


@pytest.mark.parametrize("gives_up_on", ["the batch", "the lock"])
async def test_a_row_that_stays_locked_holds_up_its_own_delivery_alone(
    sessionmaker: SessionMaker, database_url: str, monkeypatch: pytest.MonkeyPatch, gives_up_on: str
) -> None:
    values: dict[str, Any] = {"database_lock_timeout_seconds": deadline(60)}
    if gives_up_on == "the batch":
        monkeypatch.setattr(inbox_module, "BATCH_SECONDS", 0.5)
    else:
        values = {"database_lock_timeout_seconds": 0.5}
        monkeypatch.setattr(inbox_module, "MAX_ATTEMPTS", 1000)
        monkeypatch.setattr(inbox_module, "BATCH_SECONDS", deadline(60))
    deliveries = [delivery(on_ramp) for on_ramp in await on_ramps_of(sessionmaker, 4)]
    async with sessionmaker() as session:
        token = deliveries[0].notice.token  # type: ignore[union-attr]
        on_ramp = (await session.execute(select(OnRamp).where(OnRamp.token == token))).scalar_one()
    settings = BankWebhookSettings(**webhook_values(database_url, **values))
    async with open_database(settings, application_name="bank_webhook") as database:
        inbox = Inbox(database, within_seconds=deadline(60))
        async with locked(sessionmaker, "on_ramps", on_ramp.id):
            stuck, *others = [asyncio.create_task(inbox.take_in(each)) for each in deliveries]
            assert await asyncio.gather(*others) == [Verdict.SETTLED] * 3
            later = [delivery(each) for each in await on_ramps_of(sessionmaker, 1)]
            assert await take_in(inbox, later) == [Verdict.SETTLED]
            assert not stuck.done()
        assert await stuck is Verdict.SETTLED
        await inbox.close()


async def test_a_commit_whose_answer_is_lost_credits_once(
    sessionmaker: SessionMaker, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = inbox_module._commit
    lost: list[list[Verdict]] = []

    async def commit_and_lose_the_answer(engine: AsyncEngine, deliveries: Sequence[Delivery]) -> list[Verdict]:
        verdicts = await commit(engine, deliveries)
        if not lost:
            lost.append(verdicts)
            raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")
        return verdicts

    monkeypatch.setattr(inbox_module, "_commit", commit_and_lose_the_answer)
    on_ramps = await on_ramps_of(sessionmaker, 3)
    assert await take_in(inbox, [delivery(on_ramp) for on_ramp in on_ramps]) == [Verdict.DUPLICATE] * 3
    assert lost == [[Verdict.SETTLED] * 3]
    for on_ramp in on_ramps:
        assert await credited(sessionmaker, on_ramp) == ("success", on_ramp.amount, 1)


@pytest.mark.parametrize("way", ["cancelled", "hung up"])
async def test_a_caller_that_leaves_before_its_batch_withdraws(
    sessionmaker: SessionMaker, inbox: Inbox, way: str
) -> None:
    caller = Caller()

    async def served(on_ramp: OnRamp) -> Verdict:
        caller.is_served()
        return await inbox.take_in(delivery(on_ramp))

    first, second, third = await on_ramps_of(sessionmaker, 3)
    async with locked(sessionmaker, "on_ramps", first.id):
        in_flight = asyncio.create_task(inbox.take_in(delivery(first)))
        await until_a_lock_is_awaited(sessionmaker)
        leaving, staying = asyncio.create_task(served(second)), asyncio.create_task(inbox.take_in(delivery(third)))
        await asyncio.sleep(0)
        if way == "cancelled":
            leaving.cancel()
        else:
            caller.leave()
        await asyncio.wait([leaving], timeout=deadline())
        assert leaving.cancelled() or isinstance(leaving.exception(), CallerLeft)
    assert list(await asyncio.gather(in_flight, staying)) == [Verdict.SETTLED] * 2
    assert await credited(sessionmaker, second) == ("pending", 0, 0)
    assert await credited(sessionmaker, third) == ("success", third.amount, 1)


async def test_no_more_wait_than_may_and_a_closing_inbox_ends_what_it_accepted(
    sessionmaker: SessionMaker, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_module, "MAX_WAITING", 2)
    on_ramps = await on_ramps_of(sessionmaker, 3)
    tasks = [asyncio.create_task(inbox.take_in(delivery(on_ramp))) for on_ramp in on_ramps]
    await asyncio.wait(tasks[2:])
    assert isinstance(tasks[2].exception(), NotCommitted)
    await inbox.close()
    assert [task.result() for task in tasks[:2]] == [Verdict.SETTLED] * 2
    with pytest.raises(NotCommitted):
        await inbox.take_in(delivery(on_ramps[2]))
    assert await credited(sessionmaker, on_ramps[2]) == ("pending", 0, 0)


@pytest.mark.parametrize("are_copies", [True, False])
async def test_two_processes_with_overlapping_batches_credit_once_and_never_block_each_other(
    sessionmaker: SessionMaker, database_url: str, caplog: pytest.LogCaptureFixture, are_copies: bool
) -> None:
    """Copies meet at the inbox rows, deliveries of one fact under two ids at the on-ramps."""
    on_ramps = await on_ramps_of(sessionmaker, 20)
    deliveries = [delivery(on_ramp) for on_ramp in on_ramps]
    again = [each if are_copies else replace(each, webhook_id=new_token()) for each in deliveries]
    async with AsyncExitStack() as stack:
        one, other = [await stack.enter_async_context(an_inbox(database_url)) for _ in range(2)]
        # Both come as far as the middle of the rows where they meet.
        async with (
            being_kept(sessionmaker, deliveries[10])
            if are_copies
            else locked(sessionmaker, "on_ramps", on_ramps[10].id)
        ):
            tasks = [asyncio.create_task(take_in(one, deliveries)), asyncio.create_task(take_in(other, again[::-1]))]
            await until_a_lock_is_awaited(sessionmaker, by=2)
        found = await asyncio.gather(*tasks)
    for verdicts in zip(found[0], found[1][::-1], strict=True):
        assert sorted(verdicts) == ["duplicate", "settled"]
    assert "not committed" not in caplog.text, "a deadlock"
    for on_ramp in on_ramps:
        assert await credited(sessionmaker, on_ramp) == ("success", on_ramp.amount, 1)


async def test_enquiries_that_race_a_batch_credit_once(sessionmaker: SessionMaker, inbox: Inbox) -> None:
    on_ramps = await on_ramps_of(sessionmaker, 20)

    async def enquire(on_ramp: OnRamp, event: Literal["success", "failure"]) -> Verdict:
        async with sessionmaker.begin() as session:
            return (await settle(session, payment_notice(on_ramp, event, reason="expired"))).verdict

    events: list[Literal["success", "failure"]] = ["success", "failure"]
    await asyncio.gather(
        *(enquire(on_ramp, events[number % 2]) for number, on_ramp in enumerate(reversed(on_ramps))),
        take_in(inbox, [delivery(on_ramp) for on_ramp in on_ramps]),
    )
    for on_ramp in on_ramps:
        assert await credited(sessionmaker, on_ramp) == ("success", on_ramp.amount, 1)
