"""Mail about money received is bundled per owner: the first goes at once, what comes soon after it goes together. When
much comes in for many, the first waits, too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from email.message import EmailMessage
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, text, update

from shared import clock
from shared.db.engine import SessionMaker
from shared.ids import new_id
from shared.models import Mail, OutboxMessage
from shared.outbox import delivery, queue
from shared.outbox.delivery import RETRY_BASE_SECONDS, deliver_due
from shared.outbox.messages import Message, write
from tests.support.deadlines import deadline
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

    async def rows(self) -> Sequence[Mail]:
        async with self.sessionmaker() as session:
            return (await session.scalars(select(Mail).order_by(Mail.created_at))).all()

    async def new(self) -> Sequence[OutboxMessage]:
        """Messages that are in no mail."""
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
    assert world.mailbox.received[0]["Subject"] == "You received ₹500.00"
    await world.receive(alice, 700_00)
    assert await world.deliver(after_seconds=AFTER) == 1
    assert world.mailbox.received[1]["Subject"] == "You received ₹700.00"


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
    assert [mail["Subject"] for mail in world.mailbox.received] == ["You received ₹1.00", "₹9.00 in 3 payments"]
    first, together = await world.rows()
    assert (first.sent_at, together.sent_at) == (sent_at, world.now)
    assert (first.count, together.count) == (1, 3)
    assert world.mailbox.received[1]["Message-ID"] == f"<{together.id}@batua.example>"
    assert await world.new() == []
    assert await world.deliver(after_seconds=7200) == 0


async def test_a_thousand_payments_become_one_mail(world: World) -> None:
    alice = await world.person()
    await world.write(alice, *({"amount": 100_00 + n, "from_name": f"Payer {n}"} for n in range(1000)))
    assert await world.deliver() == 0
    assert await world.deliver(after_seconds=AFTER) == 1
    (mail,) = world.mailbox.received
    assert mail["Subject"] == "₹1,04,995.00 in 1,000 payments"
    listed = [line for line in plain(mail).splitlines() if line.startswith("- ")]
    assert len(listed) == queue.NEWEST_SHOWN + 1
    assert listed[-1] == "- and 995 more"
    assert {row.sent_at for row in await world.rows()} == {world.now}


async def test_a_thousand_payments_of_a_paisa_over_half_an_hour_become_one_mail(world: World) -> None:
    alice = await world.person()
    for _ in range(10):
        await world.write(alice, *({"amount": 1, "from_name": "Mallory"} for _ in range(100)))
        assert await world.deliver(after_seconds=180) == 0
    assert await world.deliver(after_seconds=queue.SMALL_SECONDS) == 1
    assert [mail["Subject"] for mail in world.mailbox.received] == ["₹10.00 in 1,000 payments"]
    assert await world.deliver(after_seconds=7200) == 0


async def test_a_larger_payment_takes_the_small_ones_with_it(world: World) -> None:
    alice = await world.person()
    await world.receive(alice, 1, 2)
    assert await world.deliver(after_seconds=60) == 0
    await world.receive(alice, 500_00)
    assert await world.deliver() == 1
    assert world.mailbox.received[0]["Subject"] == "₹500.03 in 3 payments"


async def test_one_person_gets_so_many_mails_in_an_hour_and_then_one_of_all(world: World) -> None:
    alice, bob = await world.person(), await world.person("Bob")
    for _ in range(queue.MAILS_PER_HOUR):
        await world.receive(alice, 1_00)
        assert await world.deliver(after_seconds=AFTER) == 1
    for _ in range(5):
        await world.receive(alice, 1_00)
        assert await world.deliver(after_seconds=AFTER) == 0
    await world.receive(bob, 1_00)
    assert await world.deliver() == 1
    assert await world.deliver(after_seconds=3600) == 1
    assert world.mailbox.received[-1]["Subject"] == "₹5.00 in 5 payments"


async def test_one_person_gets_so_many_mails_in_a_day(world: World) -> None:
    alice = await world.person()
    for _ in range(queue.MAILS_PER_DAY):
        await world.receive(alice, 1_00)
        assert await world.deliver(after_seconds=3600) == 1
    await world.receive(alice, 1_00)
    assert await world.deliver(after_seconds=3600) == 0
    assert await world.deliver(after_seconds=4 * 3600) == 1


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
    assert new["Subject"] == "You received ₹4.00"


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


async def test_when_many_come_in_each_owner_gets_one_mail_of_all(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "FEW", 2)
    monkeypatch.setattr(queue, "LULL_SECONDS", SOON + 1)
    monkeypatch.setattr(queue, "GATHER_BATCH", 2)
    monkeypatch.setattr(delivery, "RUN_SECONDS", deadline())
    alice, bob = await world.person(), await world.person("Bob")
    for _ in range(3):
        await world.receive(alice, 1_00)
        await world.receive(bob, 10_00)
    assert await world.deliver() == 0
    await world.receive(alice, 2_00)
    assert await world.deliver(after_seconds=SOON) == 0
    assert len(await world.new()) == 7
    assert await world.deliver(after_seconds=AFTER - SOON) == 2
    assert {mail["Subject"] for mail in world.mailbox.received} == {"₹5.00 in 4 payments", "₹30.00 in 3 payments"}
    listed = {line for mail in world.mailbox.received for line in plain(mail).splitlines() if line.startswith("- ₹2")}
    assert len(listed) == 1
    assert await world.new() == []


async def test_many_are_gathered_as_soon_as_no_more_come(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "FEW", 2)
    alice = await world.person()
    await world.receive(alice, 1_00, 1_00, 1_00)
    assert await world.deliver(after_seconds=queue.LULL_SECONDS - 0.5) == 0
    await world.receive(alice, 1_00)
    assert await world.deliver(after_seconds=queue.LULL_SECONDS - 0.5) == 0
    assert await world.deliver(after_seconds=0.5) == 1
    assert world.mailbox.received[0]["Subject"] == "₹4.00 in 4 payments"


async def test_what_the_version_before_had_begun_is_sent(world: World) -> None:
    alice = await world.person()
    await world.receive(alice, 1_00, 2_00, 4_00)
    first, second, third = await world.new()
    async with world.sessionmaker.begin() as session:
        bundled = update(OutboxMessage).where(OutboxMessage.id.in_([first.id, second.id]))
        await session.execute(bundled.values(bundle_id=first.id, next_attempt_at=None))
        again_at = world.now + timedelta(seconds=AFTER)
        begun = update(OutboxMessage).where(OutboxMessage.id.in_([first.id, third.id]))
        await session.execute(begun.values(attempts=1, next_attempt_at=again_at))
    assert await world.deliver() == 0
    assert await world.deliver(after_seconds=AFTER + 1) == 1
    assert world.mailbox.received[0]["Subject"] == "₹7.00 in 3 payments"
    assert await world.new() == []


async def test_no_payment_joins_a_mail_that_is_being_taken(world: World) -> None:
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
            gathering = asyncio.create_task(queue.gather(world.sessionmaker))
            await until_a_lock_is_awaited(world.sessionmaker)
        assert await gathering == 1
    assert taken["count"] == 2
    assert [(row.amount, row.closed_at is not None) for row in await world.rows()] == [
        (1_00, True),
        (5_00, True),
        (4_00, False),
    ]


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
            async with world.sessionmaker() as session:
                return await queue.backlog(session)

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
        await queue.gather(world.sessionmaker)
        taken = await queue.take(world.sessionmaker, lease_seconds=60)
    async with world.sessionmaker.begin() as session:
        await session.execute(text("ANALYZE outbox_messages, mails"))
    ids = [mail.id for mail in taken]
    pause = timedelta(seconds=queue.BUNDLE_SECONDS)
    for statement, values in (
        (queue.NEW, {"now": world.now, "most": 100}),
        (queue.UNBUNDLE, {"now": world.now}),
        (queue.GATHER, {"now": world.now, "limit": 2000, **queue.PACE}),
        (queue.ANY_DUE, {"now": world.now}),
        (queue.TAKE, {"now": world.now, "limit": 100, "leased_until": world.now}),
        (queue.SENT, {"ids": ids, "now": world.now}),
        (queue.BACKLOG, {"most": 1000, "pause": pause}),
    ):
        async with world.sessionmaker() as session:
            await session.execute(queue.BEGIN, {"key": queue.LOCK_KEY})
            lines = await session.scalars(text(f"EXPLAIN {statement.text}"), values)
            assert not [line for line in lines if "Seq Scan" in line]


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
