"""Delivery to a real SMTP server: once without faults, at least once with faults."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from aiosmtpd.smtp import SMTP, Envelope
from sqlalchemy import select, text

from shared import clock
from shared.db.engine import SessionMaker
from shared.ids import new_id
from shared.models import Mail, OutboxMessage, Owner
from shared.outbox import delivery, queue
from shared.outbox.delivery import backoff_seconds, deliver_due
from shared.outbox.messages import Message, write
from shared.outbox.settings import MailSettings
from tests.support.deadlines import deadline
from tests.support.factories import create_merchant, create_user
from tests.support.mailbox import Mailbox, listening


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with listening(Mailbox()) as box:
        yield box


async def put_in(sessionmaker: SessionMaker, count: int = 1, *, name: str = "Alice") -> tuple[UUID, str]:
    """Messages to one new person; their id and address."""
    async with sessionmaker.begin() as session:
        wallet = await create_user(session, first_name=name)
        assert wallet.owner_id is not None
        message = Message("welcome", wallet.owner_id, {"first_name": name, "wallet_id": wallet.handle})
        await write(session, [message] * count)
        owner = await session.get_one(Owner, wallet.owner_id)
        return owner.id, owner.email


async def rows(sessionmaker: SessionMaker) -> list[Mail]:
    async with sessionmaker() as session:
        assert (await session.scalars(select(OutboxMessage))).all() == []
        return list((await session.scalars(select(Mail).order_by(Mail.id))).all())


def later(seconds: float) -> datetime:
    return clock.now() + timedelta(seconds=seconds)


async def deliver_at(sessionmaker: SessionMaker, settings: MailSettings, at: datetime) -> int:
    with clock.reading(lambda: at):
        return await deliver_due(sessionmaker, settings)


async def test_each_message_is_delivered_once(fresh_sessionmaker: SessionMaker, mailbox: Mailbox) -> None:
    _, email = await put_in(fresh_sessionmaker, 3)
    assert await deliver_due(fresh_sessionmaker, mailbox.settings()) == 3
    assert await deliver_at(fresh_sessionmaker, mailbox.settings(), later(7200)) == 0
    assert [mail["To"] for mail in mailbox.received] == [email] * 3
    found = await rows(fresh_sessionmaker)
    assert {mail["Message-ID"] for mail in mailbox.received} == {f"<{row.id}@batua.example>" for row in found}
    assert all(row.sent_at and row.next_attempt_at is None and row.attempts == 1 for row in found)


async def test_a_shop_is_greeted_by_its_name(fresh_sessionmaker: SessionMaker, mailbox: Mailbox) -> None:
    async with fresh_sessionmaker.begin() as session:
        shop = await create_merchant(session, business_name="Chai & Co")
        assert shop.owner_id is not None
        facts = {"amount": 30000, "from_name": "Bob", "note": None, "transfer_id": str(new_id())}
        await write(session, [Message("money_received", shop.owner_id, facts)])
    assert await deliver_due(fresh_sessionmaker, mailbox.settings()) == 1
    body = mailbox.received[0].get_body(("plain",))
    assert body is not None
    assert body.get_content().startswith("Hello Chai & Co,")


async def test_parallel_deliveries_share_the_work(fresh_sessionmaker: SessionMaker, mailbox: Mailbox) -> None:
    await put_in(fresh_sessionmaker, 20)
    counts = await asyncio.gather(*[deliver_due(fresh_sessionmaker, mailbox.settings()) for _ in range(4)])
    assert sum(counts) == 20
    assert len({mail["Message-ID"] for mail in mailbox.received}) == len(mailbox.received) == 20


async def test_a_delivery_that_dies_before_its_commit_sends_a_copy_with_the_same_message_id(
    fresh_sessionmaker: SessionMaker, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put_in(fresh_sessionmaker)

    async def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(queue, "record", die)
        task = asyncio.create_task(_swallowing(deliver_due(fresh_sessionmaker, mailbox.settings())))
        assert await task == "died"
    assert await deliver_due(fresh_sessionmaker, mailbox.settings()) == 0  # the lease still stands
    assert await deliver_at(fresh_sessionmaker, mailbox.settings(), later(3600)) == 1
    first, copy = mailbox.received
    assert first["Message-ID"] == copy["Message-ID"]


async def _swallowing(delivering: Any) -> str:
    try:
        await delivering
    except KeyboardInterrupt:
        return "died"
    return "lived"


async def test_a_server_that_is_down_costs_no_tries(fresh_sessionmaker: SessionMaker) -> None:
    await put_in(fresh_sessionmaker, 2)
    async with listening(Mailbox()) as box:
        settings = box.settings()
    assert await deliver_due(fresh_sessionmaker, settings) == 0
    assert {row.attempts for row in await rows(fresh_sessionmaker)} == {0}


async def test_a_passing_refusal_is_tried_again_later(fresh_sessionmaker: SessionMaker, mailbox: Mailbox) -> None:
    mailbox.data_answers = ["451 try again later"]
    await put_in(fresh_sessionmaker)
    present = clock.now()
    assert await deliver_at(fresh_sessionmaker, mailbox.settings(), present) == 0
    (row,) = await rows(fresh_sessionmaker)
    assert (row.attempts, row.last_error) == (1, "SMTPDataError 451")
    assert row.next_attempt_at is not None
    assert 10 < (row.next_attempt_at - present).total_seconds() <= delivery.RETRY_BASE_SECONDS
    assert await deliver_due(fresh_sessionmaker, mailbox.settings()) == 0
    assert await deliver_at(fresh_sessionmaker, mailbox.settings(), later(31)) == 1
    assert (await rows(fresh_sessionmaker))[0].last_error is None


async def test_a_refused_recipient_is_given_up_and_delays_no_other_message(
    fresh_sessionmaker: SessionMaker, mailbox: Mailbox
) -> None:
    _, refused = await put_in(fresh_sessionmaker)
    _, welcome = await put_in(fresh_sessionmaker, name="Bob")
    mailbox.recipient_answers = {refused: "550 no such mailbox"}
    assert await deliver_due(fresh_sessionmaker, mailbox.settings()) == 1
    assert mailbox.received[0]["To"] == welcome
    for hours in range(1, 6):
        assert await deliver_at(fresh_sessionmaker, mailbox.settings(), later(hours * 3600)) == 0
    row = (await rows(fresh_sessionmaker))[0]
    assert (row.attempts, row.next_attempt_at, row.sent_at) == (delivery.MAX_REFUSALS, None, None)
    assert row.last_error == "SMTPRecipientsRefused 550"
    assert refused not in row.last_error


async def test_passing_refusals_are_bounded_too(fresh_sessionmaker: SessionMaker, mailbox: Mailbox) -> None:
    _, refused = await put_in(fresh_sessionmaker)
    mailbox.recipient_answers = {refused: "450 busy"}
    for hours in range(1, 25):
        await deliver_at(fresh_sessionmaker, mailbox.settings(), later(hours * 3601))
    (row,) = await rows(fresh_sessionmaker)
    assert (row.attempts, row.next_attempt_at) == (delivery.MAX_ATTEMPTS, None)


async def test_a_message_that_cannot_be_rendered_delays_no_other_message(
    fresh_sessionmaker: SessionMaker, mailbox: Mailbox
) -> None:
    owner_id, _ = await put_in(fresh_sessionmaker)
    async with fresh_sessionmaker.begin() as session:
        await session.execute(text("UPDATE outbox_messages SET kind = 'unheard_of'"))
        await write(session, [Message("welcome", new_id(), {"wallet_id": "x"})])  # an owner that does not exist
        await write(session, [Message("welcome", owner_id, {"wallet_id": "x"})])
    assert await deliver_due(fresh_sessionmaker, mailbox.settings()) == 1
    errors = [row.last_error for row in await rows(fresh_sessionmaker)]
    assert errors == ["cannot be written: KeyError", "cannot be written: the owner does not exist", None]


async def test_a_server_that_hangs_ends_the_batch_within_its_time(fresh_sessionmaker: SessionMaker) -> None:
    release = asyncio.Event()

    class Hanging(Mailbox):
        async def handle_DATA(self, _server: SMTP, _session: Any, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
            await release.wait()
            return "250 OK"

    await put_in(fresh_sessionmaker, 3)
    async with listening(Hanging()) as box, asyncio.timeout(deadline()):
        assert await deliver_due(fresh_sessionmaker, box.settings(timeout_seconds=3)) == 0
        release.set()
    assert sorted(row.attempts for row in await rows(fresh_sessionmaker)) == [0, 0, 1]


class Leaving(Mailbox):
    """Accepts `accepts` mails and then is gone, in the middle of the next."""

    accepts = 2

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        if len(self.received) == self.accepts:
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
            return "451 gone"
        return await super().handle_DATA(server, session, envelope)


async def test_a_server_that_goes_away_is_sent_nothing_twice_and_costs_the_rest_no_attempt(
    fresh_sessionmaker: SessionMaker, mailbox: Mailbox
) -> None:
    await put_in(fresh_sessionmaker, 5)
    async with listening(Leaving()) as leaving:
        assert await deliver_due(fresh_sessionmaker, leaving.settings()) == 2
    found = await rows(fresh_sessionmaker)
    assert sorted(row.attempts for row in found) == [0, 0, 1, 1, 1]
    assert sum(row.sent_at is not None for row in found) == 2
    assert await deliver_due(fresh_sessionmaker, mailbox.settings()) == 2  # at once: they are due as they were
    assert await deliver_at(fresh_sessionmaker, mailbox.settings(), later(31)) == 1
    sent = [mail["Message-ID"] for mail in (*leaving.received, *mailbox.received)]
    assert len(sent) == len(set(sent)) == 5


async def test_a_server_that_says_it_is_closing_costs_the_rest_no_attempt(
    fresh_sessionmaker: SessionMaker, mailbox: Mailbox
) -> None:
    mailbox.data_answers = ["250 OK", "421 closing"]
    await put_in(fresh_sessionmaker, 4)
    assert await deliver_due(fresh_sessionmaker, mailbox.settings()) == 1
    assert sorted(row.attempts for row in await rows(fresh_sessionmaker)) == [0, 0, 1, 1]


class Holding(Mailbox):
    """Accepts `accepts` mails and answers nothing to the next, until it is released."""

    accepts = 2

    def __init__(self) -> None:
        super().__init__()
        self.is_held = asyncio.Event()
        self.release = asyncio.Event()

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        if len(self.received) == self.accepts:
            self.is_held.set()
            await self.release.wait()
        return await super().handle_DATA(server, session, envelope)


async def test_a_run_that_is_cancelled_records_what_was_accepted(
    fresh_sessionmaker: SessionMaker, mailbox: Mailbox
) -> None:
    await put_in(fresh_sessionmaker, 5)
    async with listening(Holding()) as holding:
        delivering = asyncio.create_task(deliver_due(fresh_sessionmaker, holding.settings()))
        async with asyncio.timeout(deadline()):
            await holding.is_held.wait()
        delivering.cancel()
        with pytest.raises(asyncio.CancelledError):
            await delivering
        sent = [mail["Message-ID"] for mail in holding.received]
        holding.release.set()
    assert await deliver_due(fresh_sessionmaker, mailbox.settings()) == 2
    assert await deliver_at(fresh_sessionmaker, mailbox.settings(), later(3600)) == 1  # it may have been accepted
    again = [mail["Message-ID"] for mail in mailbox.received]
    assert len(sent) == 2
    assert len(set(sent + again)) == 5


async def test_a_worker_that_is_killed_leaves_its_batch_due_when_the_lease_ends(
    fresh_sessionmaker: SessionMaker, fresh_database_url: str, mailbox: Mailbox
) -> None:
    await put_in(fresh_sessionmaker, 4)
    async with listening(Holding()) as holding:
        worker = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.support.mail_worker", fresh_database_url, str(holding.port)
        )
        async with asyncio.timeout(deadline(60)):
            await holding.is_held.wait()
        worker.kill()
        assert await worker.wait() == -signal.SIGKILL
        holding.release.set()
    assert await deliver_due(fresh_sessionmaker, mailbox.settings()) == 0
    assert await deliver_at(fresh_sessionmaker, mailbox.settings(), later(3600)) == 4
    first = {mail["Message-ID"] for mail in holding.received}
    assert len(first) >= 2
    assert first < {mail["Message-ID"] for mail in mailbox.received}


async def test_the_oldest_mail_goes_first(fresh_sessionmaker: SessionMaker, mailbox: Mailbox) -> None:
    expected = [(await put_in(fresh_sessionmaker))[1] for _ in range(5)]
    assert await deliver_due(fresh_sessionmaker, mailbox.settings()) == 5
    assert [mail["To"] for mail in mailbox.received] == expected


async def test_a_batch_that_takes_too_long_is_put_back(
    fresh_sessionmaker: SessionMaker, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put_in(fresh_sessionmaker, 3)
    monkeypatch.setattr(delivery, "BATCH_SECONDS", -1)
    assert await deliver_due(fresh_sessionmaker, mailbox.settings()) == 0
    assert {row.attempts for row in await rows(fresh_sessionmaker)} == {0}
    monkeypatch.undo()
    assert await deliver_due(fresh_sessionmaker, mailbox.settings()) == 3


async def test_one_session_takes_more_than_one_batch(
    fresh_sessionmaker: SessionMaker, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "BATCH", 2)
    monkeypatch.setattr(delivery, "RUN_SECONDS", deadline())
    await put_in(fresh_sessionmaker, 5)
    assert await deliver_due(fresh_sessionmaker, mailbox.settings()) == 5
    assert mailbox.sessions == 1


def test_the_pauses_grow_to_an_hour_and_never_line_up() -> None:
    for attempts in range(1, delivery.MAX_ATTEMPTS + 1):
        longest = min(delivery.RETRY_CAP_SECONDS, delivery.RETRY_BASE_SECONDS * 2 ** (attempts - 1))
        drawn = [backoff_seconds(attempts) for _ in range(20)]
        assert all(longest / 2 <= seconds <= longest for seconds in drawn)
        assert len(set(drawn)) > 1
