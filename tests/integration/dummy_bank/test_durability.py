"""What the bank has said yes to is still so after it was killed, and its own money always adds up."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from random import Random

import httpx
import pytest
from pydantic import SecretStr

from services.dummy_bank.settings import BankSimulatorSettings
from tests.support.deadlines import deadline
from tests.support.simulated_bank import BankClient, Platform, bank_client, run_app
from tests.support.waiting import eventually


def environment(settings: BankSimulatorSettings) -> dict[str, str]:
    values = {name: getattr(settings, name) for name in BankSimulatorSettings.model_fields}
    told = {
        f"DUMMY_BANK_{name.upper()}": value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        for name, value in values.items()
        if value is not None
    }
    return os.environ | told


@contextmanager
def process(settings: BankSimulatorSettings) -> Iterator[tuple[subprocess.Popen[bytes], BankClient]]:
    """The bank as a process of its own, listening on a socket handed to it."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)
        port = listening.getsockname()[1]
        command = [sys.executable, "-m", "uvicorn", "services.dummy_bank.main:create_app", "--factory"]
        options = ["--fd", str(listening.fileno()), "--no-access-log", "--timeout-graceful-shutdown", "5"]
        running = subprocess.Popen(
            [*command, *options],
            env=environment(settings),
            pass_fds=[listening.fileno()],
            stderr=subprocess.DEVNULL,
        )
    client = bank_client(f"http://127.0.0.1:{port}", "hdfc")
    try:
        client.browser.get(f"http://127.0.0.1:{port}/healthz", timeout=deadline(60)).raise_for_status()
        yield running, client
    finally:
        running.kill()
        running.wait()
        client.http.close()
        client.browser.close()


def sum_of_all_accounts(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        [total] = connection.execute("SELECT sum(balance) FROM accounts WHERE bank = 'hdfc'").fetchone()
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    return int(total)


def test_what_was_answered_before_a_kill_is_in_the_book_after_it(settings: BankSimulatorSettings) -> None:
    answered: list[str] = []

    def pay(number: int) -> None:
        with suppress(httpx.TransportError):
            if client.pay(f"payout-{number}").status_code == 200:
                answered.append(f"payout-{number}")

    with process(settings) as (running, client), ThreadPoolExecutor(4) as pool:
        done = [pool.submit(pay, number) for number in range(300)]
        eventually(lambda: len(answered) >= 40)
        running.send_signal(signal.SIGKILL)
        for future in done:
            future.result()
    assert sum_of_all_accounts(settings.database) == 0
    with process(settings) as (running, client):
        paid = [line["reference"] for line in client.items("statement")]
        assert len(paid) == len(set(paid))
        assert set(answered) <= set(paid)
        assert all(call["ended_at"] for call in client.items("calls"))


def test_a_notice_written_before_a_kill_is_delivered_after_it(
    settings: BankSimulatorSettings, platform: Platform
) -> None:
    with process(settings) as (running, client):
        client.faults(webhook_delay_ms=3000, seed=5)
        token = client.open_session()
        client.decide(token)
        running.send_signal(signal.SIGKILL)
    with process(settings) as (running, client):
        assert client.http.get("/api/faults").json()["seed"] == 5
        assert client.session(token)["status"] == "approved"
        eventually(lambda: platform.heard)
    assert len(platform.heard) == 1


def test_a_payout_cut_off_by_a_kill_is_finished_and_told(settings: BankSimulatorSettings, platform: Platform) -> None:
    with process(settings) as (running, client), ThreadPoolExecutor(1) as pool:
        client.faults(async_rate=1, async_delay_ms=1000)
        assert pool.submit(client.pay).result().status_code == 202
        running.send_signal(signal.SIGKILL)
    with process(settings) as (running, client):
        eventually(lambda: platform.heard)
        assert client.http.get("/api/transfers/payout-1").json()["status"] == "SUCCESS"
        assert len(client.paid_out("payout-1")) == 1


def test_a_call_under_way_at_a_kill_has_ended_in_the_log_after_it(settings: BankSimulatorSettings) -> None:
    with process(settings) as (running, client), ThreadPoolExecutor(1) as pool:
        client.faults(hold_at="after_work")
        paying = pool.submit(client.pay)
        eventually(lambda: client.items("statement"))
        running.send_signal(signal.SIGKILL)
        assert isinstance(paying.exception(), httpx.TransportError)
    with process(settings) as (running, client):
        [call] = client.items("calls")
        assert (call["outcome"], len(client.paid_out("payout-1"))) == ("interrupted", 1)
        assert call["ended_at"] > call["started_at"]
        client.faults()
        assert client.pay().json()["status"] == "SUCCESS"
        assert len(client.paid_out("payout-1")) == 1


def test_sigterm_ends_it_soon_even_with_a_call_that_hangs(settings: BankSimulatorSettings) -> None:
    with process(settings) as (running, client), ThreadPoolExecutor(1) as pool:
        client.faults(timeout_after_rate=1)
        hanging = pool.submit(client.pay)
        eventually(lambda: client.items("statement"))
        running.terminate()
        assert hanging.result().status_code == 504
        assert running.wait(timeout=deadline()) in (0, -signal.SIGTERM)


def test_all_accounts_together_stay_at_zero_whatever_happens(settings: BankSimulatorSettings) -> None:
    running = run_app(settings)
    client = bank_client(running.url, "hdfc")
    chance = Random(11)
    client.faults(seed=2, refuse_rate=0.3, async_rate=0.3, reversal_rate=0.5, idempotency=False)
    for number in range(40):
        if chance.random() < 0.5:
            token = client.open_session(f"onramp-{number}", amount=chance.randint(1, 10**9))
            client.decide(token, chance.choice(["approve", "decline"]), chance.choice(["demo", "alice", "poor"]))
        else:
            client.pay(f"payout-{chance.randint(1, 5)}", amount=chance.randint(1, 10**9))
    lines = client.items("statement")
    running.stop()
    assert sum_of_all_accounts(settings.database) == 0
    balance = 0
    for line in lines:
        balance += line["amount"] if line["direction"] == "CREDIT" else -line["amount"]
        assert line["balance_after"] == balance
    client.http.close()
    client.browser.close()


def test_a_posting_can_be_neither_changed_nor_removed(settings: BankSimulatorSettings, bank_url: str) -> None:
    with closing(sqlite3.connect(settings.database)) as connection:
        for statement in ("UPDATE postings SET amount = 1", "DELETE FROM postings"):
            with pytest.raises(sqlite3.IntegrityError, match="a posting never"):
                connection.execute(statement)


def test_secrets_that_cannot_sign_stop_the_start(settings: BankSimulatorSettings) -> None:
    values = {name: getattr(settings, name) for name in BankSimulatorSettings.model_fields}
    with pytest.raises(ValueError, match="webhook secret"):
        BankSimulatorSettings(**{**values, "hdfc_webhook_secret": SecretStr("hunter2")})
