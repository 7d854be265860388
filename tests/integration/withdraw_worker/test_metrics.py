"""The worker shows how much mail waits, and for how long."""

from __future__ import annotations

import socket
import urllib.request
from datetime import timedelta

import pytest
from prometheus_client import REGISTRY

from services.withdraw_worker.mail import deliver_mail
from services.withdraw_worker.measuring import Measuring
from services.withdraw_worker.settings import WorkerSettings
from shared import clock
from shared.db.engine import SessionMaker
from shared.outbox.messages import Message, write
from shared.runtime import metrics_server
from shared.runtime.metrics_server import serve_metrics
from tests.support.bank_settings import bank_values
from tests.support.deadlines import deadline
from tests.support.factories import create_user
from tests.support.mailbox import Mailbox, listening
from tests.support.number_keys import NUMBER_KEY
from tests.support.ports import free_ports


def free_port() -> int:
    (found,) = free_ports(1)
    return found


def settings(port: int) -> WorkerSettings:
    return WorkerSettings(
        database_url="postgresql://no_role@127.0.0.1:1/none",
        redis_url="redis://127.0.0.1:1/0",
        **bank_values(),
        account_number_keys=[NUMBER_KEY],
        user_app_url="http://127.0.0.1:1",
        smtp_host="127.0.0.1",
        smtp_port=1,
        metrics_port=port,
    )


async def shown(sessionmaker: SessionMaker, name: str) -> float | None:
    await Measuring(sessionmaker, {}).look(60)
    return REGISTRY.get_sample_value(name)


async def test_what_waits_is_shown_while_the_mail_server_is_away_and_gone_when_it_is_back(
    fresh_sessionmaker: SessionMaker,
) -> None:
    async with fresh_sessionmaker.begin() as session:
        wallet = await create_user(session)
        assert wallet.owner_id is not None
        await write(session, [Message("welcome", wallet.owner_id, {"wallet_id": "x"})] * 3)
    async with listening(Mailbox()) as away:
        pass
    in_a_minute = clock.now() + timedelta(seconds=60)
    with clock.reading(lambda: in_a_minute):
        await deliver_mail(fresh_sessionmaker, away.settings())
        assert await shown(fresh_sessionmaker, "batua_mails_waiting") == 3
        assert 59 < (await shown(fresh_sessionmaker, "batua_mail_oldest_due_seconds") or 0) < 60 + deadline()
    sent_before = REGISTRY.get_sample_value("batua_mails_sent_total") or 0
    async with listening(Mailbox()) as back:
        await deliver_mail(fresh_sessionmaker, back.settings())
    for name in ("batua_mails_waiting", "batua_mail_oldest_due_seconds"):
        assert await shown(fresh_sessionmaker, name) == 0
    assert REGISTRY.get_sample_value("batua_mails_sent_total") == sent_before + 3


def test_the_worker_serves_its_metrics_until_it_stops() -> None:
    port = free_port()
    stop = serve_metrics(settings(port))
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=deadline()) as answer:
            shown = answer.read()
    finally:
        stop()
    assert b"# TYPE batua_mail_oldest_due_seconds gauge" in shown
    assert b"batua_mails_sent_total" in shown
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=deadline())


def test_a_caller_who_says_nothing_does_not_keep_the_others_out_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_server._Handler, "timeout", 0.2)
    port = free_port()
    stop = serve_metrics(settings(port))
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=deadline()):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=deadline()).close()
    finally:
        stop()


def test_a_port_in_use_only_costs_the_metrics() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        serve_metrics(settings(taken.getsockname()[1]))()
