"""Mail about money received is bundled per owner: the first goes at once, what comes soon after it goes together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from email.message import EmailMessage
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text

from shared import clock
from shared.db.engine import SessionMaker
from shared.ids import new_id
from shared.models import OutboxMessage
from shared.outbox import queue
from shared.outbox.delivery import RETRY_BASE_SECONDS, deliver_due
from shared.outbox.messages import Message, write
from tests.support.factories import create_user
from tests.support.mailbox import Mailbox, listening
from tests.support.waiting import until_a_lock_is_awaited

BEGAN = clock.now()
SOON = queue.BUNDLE_SECONDS / 2
AFTER = queue.BUNDLE_SECONDS + 1


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with listening(Mailbox()) as box:
        yield box


class World:
    """One database, one mail server, and a clock that the test moves."""

    def __init__(self, sessionmaker: SessionMaker, mailbox: Mailbox) -> None:
        self.sessionmaker = sessionmaker
        self.mailbox = mailbox
        self.now = BEGAN

    async def person(self, name: str = "Alice") -> UUID:
        async with self.sessionmaker.begin() as session:
            wallet = await create_user(session, first_name=name)
            assert wallet.owner_id is not None
            return wallet.owner_id

    async def receive(self, owner_id: UUID, *amounts: int) -> None:
        """Payments of these amounts, each a moment after the one before."""
        for amount in amounts:
            self.now += timedelta(milliseconds=1)
            await self.write(owner_id, {"amount": amount, "from_name": "Bob", "transfer_id": str(new_id())})

    async def write(self, owner_id: UUID, *facts: dict[str, Any]) -> None:
        """Messages of one transaction, now."""
        with clock.reading(lambda: self.now):
            async with self.sessionmaker.begin() as session:
                await write(session, [Message("money_received", owner_id, each) for each in facts])

    async def deliver(self, *, after_seconds: float = 0) -> int:
        self.now += timedelta(seconds=after_seconds)
        with clock.reading(lambda: self.now):
            return await deliver_due(self.sessionmaker, self.mailbox.settings())

    async def rows(self) -> Sequence[OutboxMessage]:
        async with self.sessionmaker() as session:
            return (await session.scalars(select(OutboxMessage).order_by(OutboxMessage.created_at))).all()


@pytest.fixture
def world(fresh_sessionmaker: SessionMaker, mailbox: Mailbox) -> World:
    return World(fresh_sessionmaker, mailbox)


def plain(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


async def test_a_single_payment_is_mailed_at_once(world: World) -> None:
    alice = await world.person()
    await world.receive(alice, 500_00)
    assert await world.deliver() == 1
    assert world.mailbox.received[0]["Subject"] == "Bob sent you ₹500.00"
    await world.receive(alice, 700_00)
    assert await world.deliver(after_seconds=AFTER) == 1
    assert world.mailbox.received[1]["Subject"] == "Bob sent you ₹700.00"


async def test_what_comes_soon_after_a_mail_waits_and_goes_together(world: World) -> None:
    alice = await world.person()
    await world.receive(alice, 1_00)
    assert await world.deliver() == 1
    sent_at = world.now
    await world.receive(alice, 2_00, 3_00)
    assert await world.deliver(after_seconds=SOON) == 0
    await world.receive(alice, 4_00)
    assert await world.deliver() == 0
    assert await world.deliver(after_seconds=AFTER - SOON) == 1
    assert [mail["Subject"] for mail in world.mailbox.received] == ["Bob sent you ₹1.00", "₹9.00 in 3 payments"]
    first, *together = await world.rows()
    assert first.sent_at == sent_at
    assert {row.sent_at for row in together} == {world.now}
    assert world.mailbox.received[1]["Message-ID"] == f"<{together[0].id}@batua.example>"
    assert await world.deliver(after_seconds=7200) == 0


async def test_a_thousand_payments_become_one_mail(world: World) -> None:
    alice = await world.person()
    await world.write(alice, *({"amount": 100_00 + n, "from_name": f"Payer {n}"} for n in range(1000)))
    assert await world.deliver() == 1
    (mail,) = world.mailbox.received
    assert mail["Subject"] == "₹1,04,995.00 in 1,000 payments"
    listed = [line for line in plain(mail).splitlines() if line.startswith("- ")]
    assert len(listed) == queue.NEWEST_SHOWN + 1
    assert listed[-1] == "- and 995 more"
    assert {row.sent_at for row in await world.rows()} == {world.now}


async def test_the_newest_are_named_newest_first(world: World) -> None:
    alice = await world.person()
    await world.receive(alice, *(n * 100 for n in range(1, 8)))
    assert await world.deliver() == 1
    listed = [line for line in plain(world.mailbox.received[0]).splitlines() if line.startswith("- ")]
    assert listed == [*(f"- ₹{n}.00: Received from Bob" for n in (7, 6, 5, 4, 3)), "- and 2 more"]


async def test_each_owner_has_a_mail_of_their_own(world: World) -> None:
    alice, bob = await world.person(), await world.person("Bob")
    for _ in range(3):
        await world.receive(alice, 1_00)
        await world.receive(bob, 10_00)
    assert await world.deliver() == 2
    subjects = {mail["Subject"] for mail in world.mailbox.received}
    assert subjects == {"₹3.00 in 3 payments", "₹30.00 in 3 payments"}


async def test_a_copy_has_the_same_id_and_tells_of_the_same_payments(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = await world.person()
    await world.receive(alice, 1_00, 2_00)

    async def die(*_: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(queue, "record", die)
        with pytest.raises(RuntimeError):
            await world.deliver()
    await world.receive(alice, 4_00)
    assert await world.deliver(after_seconds=1) == 0
    assert await world.deliver(after_seconds=3600) == 2
    first, copy, new = world.mailbox.received
    assert first["Message-ID"] == copy["Message-ID"]
    assert first["Date"] == copy["Date"]
    assert plain(first) == plain(copy)
    assert new["Subject"] == "Bob sent you ₹4.00"


async def test_an_owner_whose_mail_is_refused_has_two_mails_waiting_at_most(world: World) -> None:
    alice = await world.person()
    world.mailbox.data_answers = ["451 try later"] * 4
    for _ in range(4):
        await world.receive(alice, 1_00, 1_00)
        await world.deliver(after_seconds=AFTER * 20)
    waiting = [row for row in await world.rows() if row.next_attempt_at is not None]
    assert [row.attempts for row in waiting] == [4, 0]
    assert await world.deliver(after_seconds=RETRY_BASE_SECONDS * 20) == 2
    assert [mail["Subject"] for mail in world.mailbox.received[-2:]] == ["₹2.00 in 2 payments", "₹6.00 in 6 payments"]


async def test_a_payment_without_an_amount_delays_no_other(world: World) -> None:
    alice = await world.person()
    await world.write(alice, {}, {"amount": "5"}, {"amount": 1.5}, {"amount": -5, "note": 7})
    await world.receive(alice, 1_00, 2_00)
    assert await world.deliver() == 2
    assert world.mailbox.received[1]["Subject"] == "₹3.00 in 2 payments"
    assert sum("cannot be written" in (row.last_error or "") for row in await world.rows()) == 3


async def test_a_full_bundle_takes_no_more(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "MAX_BUNDLE", 3)
    alice = await world.person()
    await world.receive(alice, 1_00)
    assert await world.deliver() == 1
    for _ in range(5):
        await world.receive(alice, 1_00, 1_00)
        assert await world.deliver() == 0
    assert await world.deliver(after_seconds=AFTER) == 3
    assert [mail["Subject"][:5] for mail in world.mailbox.received] == ["Bob s", "₹4.00", "₹4.00", "₹2.00"]


async def test_no_payment_joins_a_bundle_that_is_being_taken(world: World) -> None:
    alice = await world.person()
    await world.receive(alice, 1_00)
    await world.deliver()
    await world.receive(alice, 2_00, 3_00)
    assert await world.deliver() == 0
    await world.receive(alice, 4_00)
    world.now += timedelta(seconds=AFTER)
    with clock.reading(lambda: world.now):
        async with world.sessionmaker.begin() as session:
            values = {"now": world.now, "limit": 10, "leased_until": world.now + timedelta(seconds=60)}
            await session.execute(queue.BEGIN, {"key": queue.LOCK_KEY})
            (taken,) = (await session.execute(queue.TAKE, values)).mappings().all()
            bundling = asyncio.create_task(queue.bundle_new(world.sessionmaker))
            await until_a_lock_is_awaited(world.sessionmaker)
        assert await bundling == 1
    assert taken["count"] == 2
    assert [row.bundle_id == taken["id"] for row in await world.rows()] == [False, True, True, False]


async def test_workers_at_once_send_every_bundle_once(world: World) -> None:
    owners = [await world.person(f"P{n}") for n in range(15)]
    for owner in owners:
        await world.receive(owner, 1_00, 2_00, 3_00)
    with clock.reading(lambda: world.now):
        counts = await asyncio.gather(*(deliver_due(world.sessionmaker, world.mailbox.settings()) for _ in range(4)))
    assert sum(counts) == len(world.mailbox.received) == len(owners)
    assert {mail["Subject"] for mail in world.mailbox.received} == {"₹6.00 in 3 payments"}


async def test_the_backlog_counts_mails_and_tells_how_long_the_oldest_is_due(world: World) -> None:
    alice = await world.person()
    await world.receive(alice, 1_00)
    await world.deliver()
    await world.receive(alice, *[1_00] * 10)
    await world.deliver()

    async def backlog(after_seconds: float) -> queue.Backlog:
        with clock.reading(lambda: world.now + timedelta(seconds=after_seconds)):
            return await queue.backlog(world.sessionmaker)

    assert await backlog(1) == queue.Backlog(waiting=1, oldest_due_seconds=0)
    late = await backlog(queue.BUNDLE_SECONDS + 30)
    assert late.waiting == 1
    assert 29 < late.oldest_due_seconds < 31
    await world.deliver(after_seconds=AFTER)
    assert await backlog(0) == queue.Backlog(waiting=0, oldest_due_seconds=0)


async def test_a_long_queue_is_read_by_its_indexes(world: World) -> None:
    alice = await world.person()
    async with world.sessionmaker.begin() as session:
        await session.execute(
            text("""
                INSERT INTO outbox_messages (id, kind, owner_id, facts, attempts, next_attempt_at, created_at)
                SELECT gen_random_uuid(), 'money_received', CASE WHEN n % 2 = 0 THEN :alice ELSE gen_random_uuid() END,
                       '{"amount": 100}', 0, CAST(:now AS timestamptz) - n * interval '1 ms', :now
                FROM generate_series(1, 20000) n
            """),
            {"alice": alice, "now": world.now},
        )
    with clock.reading(lambda: world.now):
        await queue.bundle_new(world.sessionmaker)
        taken = await queue.take(world.sessionmaker, lease_seconds=60)
    async with world.sessionmaker.begin() as session:
        await session.execute(text("ANALYZE outbox_messages"))
    ids = [mail.id for mail in taken]
    pause = timedelta(seconds=queue.BUNDLE_SECONDS)
    bundling = {"now": world.now, "limit": 2000, "pause": pause, "max_bundle": queue.MAX_BUNDLE}
    for statement, values in (
        (queue.BUNDLE, bundling),
        (queue.ANY_DUE, {"now": world.now}),
        (queue.TAKE, {"now": world.now, "limit": 100, "leased_until": world.now}),
        (queue.NEWEST, {"ids": ids, "shown": 5}),
        (queue.SENT, {"ids": ids, "now": world.now}),
        (queue.SENT_WITH_THEM, {"ids": ids, "now": world.now}),
        (queue.BACKLOG, {"now": world.now, "most": 1000}),
    ):
        async with world.sessionmaker() as session:
            await session.execute(queue.BEGIN, {"key": queue.LOCK_KEY})
            lines = await session.scalars(text(f"EXPLAIN {statement.text}"), values)
            assert not [line for line in lines if "Seq Scan on outbox_messages" in line]


async def test_own_money_and_payments_in_one_bundle_are_told_apart(world: World) -> None:
    alice = await world.person()
    await world.receive(alice, 1_00)
    await world.deliver()
    await world.write(
        alice,
        {"amount": 2000_00, "kind": "onramp", "bank": "hdfc", "transfer_id": "t"},
        {"amount": 3_00, "from_name": "Bob", "kind": "p2p"},
        {"amount": 4_00, "from_name": "Bob"},
    )
    assert await world.deliver(after_seconds=AFTER) == 1
    mail = world.mailbox.received[-1]
    assert mail["Subject"] == "₹2,007.00 arrived in your wallet"
    assert "Money added: ₹2,000.00 (1)" in plain(mail)
    assert "Transfers: ₹7.00 (2)" in plain(mail)
