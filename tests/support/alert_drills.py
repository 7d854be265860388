"""For each alert: make its condition true on a running stack, and undo it again."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from datetime import timedelta

import asyncpg
import httpx
from redis import Redis

from infra.demo.actors import PIN
from services.dummy_bank import book
from shared import clock
from tests.support.deadlines import deadline
from tests.support.scraped_world import Drill, World, withdraw
from tests.support.standby import standby_of
from tests.support.waiting import eventually


@contextmanager
def webhook_calls_refused(world: World) -> Iterator[None]:
    url = f"{world.stack.url('bank_webhook')}/webhooks/hdfc"
    forged = {
        "webhook-id": "x",
        "webhook-timestamp": "1",
        "webhook-signature": "v1,x",
        "content-type": "application/json",
    }
    with httpx.Client(timeout=deadline(), trust_env=False) as http:
        http.post(url, headers=forged, content=b"{}")
        world.scraped("batua_webhook_refused_total")
        for _ in range(30):
            http.post(url, headers=forged, content=b"{}")
        yield


@contextmanager
def notices_not_settled(world: World) -> Iterator[None]:
    person = world.person()
    world.bank.misbehave(webhook_wrong_amount_rate=1.0)
    asked = person.post("/on-ramps", {"bank": "hdfc", "amount": 500_00}, expect_status=201).json()
    world.bank.approve(asked["redirect_url"])
    try:
        yield
    finally:
        world.bank.misbehave()


@contextmanager
def bank_slow(world: World) -> Iterator[None]:
    world.bank.misbehave(latency_ms=2800)
    for _ in range(3):
        withdraw(world.person())
    try:
        yield
    finally:
        world.bank.misbehave()


@contextmanager
def _guessing(world: World, at_once: int) -> Iterator[None]:
    """So many at a time try a wrong password, again and again."""
    url = f"{world.stack.url('user_app')}/api/v1/auth/login"
    is_over = threading.Event()

    async def guess(http: httpx.AsyncClient) -> None:
        body = {"email": "no-one@example.com", "password": "not the password"}
        while not is_over.is_set():
            with suppress(httpx.TransportError):
                await http.post(url, json=body)

    async def guess_all() -> None:
        limits = httpx.Limits(max_connections=at_once)
        async with httpx.AsyncClient(timeout=deadline(60), limits=limits, trust_env=False) as http:
            await asyncio.gather(*(guess(http) for _ in range(at_once)))

    guessing = threading.Thread(target=lambda: asyncio.run(guess_all()))
    guessing.start()
    try:
        yield
    finally:
        is_over.set()
        guessing.join(deadline(60))


def hash_queue_long(world: World) -> AbstractContextManager[None]:
    return _guessing(world, 120)


def many_wrong_secrets(world: World) -> AbstractContextManager[None]:
    return _guessing(world, 8)


@contextmanager
def ledger_slow(world: World) -> Iterator[None]:
    payer, payee = world.person(), world.person()
    lock = f"SELECT FROM accounts WHERE handle = '{payer.wallet_id.lower()}' FOR UPDATE"

    def pay() -> None:
        body = {"to": payee.wallet_id, "amount": 1_00, "pin": PIN}
        payer.post("/transfers", body, expect_status=201)

    for _ in range(2):
        paying = threading.Thread(target=pay)
        with world.holding(lock, application_name="a forgotten session"):
            paying.start()
            eventually(lambda: _waits_for_a_lock(world), "the transfer waits for the lock")
            threading.Event().wait(1.5)  # what the alert is about: longer than a second
        paying.join(deadline())
    waiting = threading.Thread(target=pay)
    with ExitStack() as stack:
        stack.callback(waiting.join, deadline())
        stack.enter_context(world.holding(lock, application_name="a forgotten session"))
        waiting.start()
        yield


def _waits_for_a_lock(world: World) -> bool:
    return bool(
        world.sql("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'user_app'")
    )


@contextmanager
def requests_fail(world: World) -> Iterator[None]:
    person = world.person()
    world.sql("REVOKE SELECT ON withdrawals FROM user_app, batua_service")
    try:
        person.request("GET", "/withdrawals")
        world.scraped('batua_http_requests_total{status="500"}')
        for _ in range(30):
            person.request("GET", "/withdrawals")
        yield
    finally:
        world.sql("GRANT SELECT ON withdrawals TO user_app, batua_service")


@contextmanager
def audit_events_lost(world: World) -> Iterator[None]:
    world.sql("REVOKE INSERT ON audit_events FROM user_app")
    try:
        url = f"{world.stack.url('user_app')}/api/v1/auth/login"
        for _ in range(10):  # so that each process has some
            httpx.post(url, json={"email": "no-one@example.org", "password": "wrong password"}, timeout=deadline())
        for pid in world.stack.serving_pids("user_app"):
            os.kill(pid, signal.SIGTERM)
        yield
    finally:
        world.sql("GRANT INSERT ON audit_events TO user_app")
        eventually(lambda: len(world.stack.serving_pids("user_app")) == 2, "user_app serves again", seconds=60)
        eventually(lambda: world.stack.is_ready("user_app"), "user_app serves again", seconds=60)


@contextmanager
def no_scheduler(world: World) -> Iterator[None]:
    world.scraped("batua_last_task_timestamp_seconds > 0")
    with world.stopped("scheduler"):
        yield


@contextmanager
def mail_late(world: World) -> Iterator[None]:
    with world.stopped("smtp"):
        world.person()  # gets a mail

        log = world.stack.layout.log_file("withdraw_worker")

        def was_tried() -> bool:
            is_written = bool(world.sql("SELECT FROM mails WHERE sent_at IS NULL"))
            return is_written and "mail server cannot be reached" in log.read_text(encoding="utf-8")

        eventually(was_tried, "the worker has tried to send the mail", seconds=60)
        with world.stopped("scheduler"):
            world.sql("UPDATE mails SET next_attempt_at = now() - interval '20 minutes' WHERE sent_at IS NULL")
            yield


@contextmanager
def postgres_away(world: World) -> Iterator[None]:
    with world.stopped("postgres"):
        yield
    services = ("user_app", "merchant_app", "bank_webhook")
    eventually(lambda: all(world.stack.is_ready(service) for service in services), "all are back", seconds=60)


@contextmanager
def connections_scarce(world: World) -> Iterator[None]:
    async def open_all() -> list[asyncpg.Connection]:
        open_now, most = await _connections(world)
        wanted = int(most * 0.92) - open_now + 1
        return list(await asyncio.gather(*(world.connect("a leaking tool") for _ in range(wanted))))

    loop = asyncio.new_event_loop()
    connections = loop.run_until_complete(open_all())
    try:
        yield
    finally:
        loop.run_until_complete(_close_all(connections))
        loop.close()


async def _close_all(connections: list[asyncpg.Connection]) -> None:
    await asyncio.gather(*(connection.close() for connection in connections))


async def _connections(world: World) -> tuple[int, int]:
    connection = await world.connect("drill")
    try:
        found = await connection.fetchrow(
            "SELECT (SELECT sum(numbackends) FROM pg_stat_database), current_setting('max_connections')::integer"
        )
        return int(found[0]), int(found[1])
    finally:
        await connection.close()


@contextmanager
def pool_exhausted(world: World) -> Iterator[None]:
    person = world.person()
    threads = [threading.Thread(target=person.request, args=("GET", "/withdrawals")) for _ in range(24)]
    with ExitStack() as stack:
        for thread in threads:
            stack.callback(thread.join, deadline(60))
        stack.enter_context(
            world.holding("LOCK TABLE withdrawals IN ACCESS EXCLUSIVE MODE", application_name="a maintenance job")
        )
        for thread in threads:
            thread.start()
        yield


@contextmanager
def replication_lags(world: World) -> Iterator[None]:
    home = world.directory / "standby"
    with standby_of(world.stack.database_url("postgres", "postgres"), home, world.free_port_base()) as standby:
        standby_url = world.stack.database_url("postgres").replace(
            f":{world.stack.layout.port('postgres')}/", f":{standby.port}/"
        )

        async def pause() -> None:
            connection = await asyncpg.connect(standby_url)
            await connection.execute("SELECT pg_wal_replay_pause()")
            await connection.close()

        asyncio.run(pause())
        world.sql("SELECT pg_logical_emit_message(false, 'drill', repeat('x', 80000000))")
        yield


@contextmanager
def redis_nearly_full(world: World) -> Iterator[None]:
    redis: Redis = Redis.from_url(world.stack.environment()["BATUA_REDIS_URL"])
    before = str(redis.config_get("maxmemory")["maxmemory"])
    redis.setrange("drill", 32 * 1024 * 1024, b"x")  # beside it, what connections take and give back is little
    redis.config_set("maxmemory", int(redis.info("memory")["used_memory"] * 1.03))
    try:
        yield
    finally:
        redis.config_set("maxmemory", before)
        redis.delete("drill")
        redis.close()


@contextmanager
def proof_failed(world: World) -> Iterator[None]:
    damage = """
        UPDATE entries SET balance_after = balance_after + {}
        WHERE seq = 1 AND account_id = (SELECT id FROM accounts WHERE handle = '{}')
    """
    handle = world.person().wallet_id.lower()
    world.sql(damage.format(1, handle))
    world.batua("prove", "--no-bank")
    try:
        yield
    finally:
        world.sql(damage.format(-1, handle))
        world.batua("prove", "--no-bank")


@contextmanager
def balances_not_zero(world: World) -> Iterator[None]:
    damage = "UPDATE accounts SET balance = balance + {} WHERE handle = '{}'"
    handle = world.person().wallet_id.lower()
    world.sql(damage.format(1, handle))
    try:
        yield
    finally:
        world.sql(damage.format(-1, handle))
        world.batua("prove", "--no-bank")


@contextmanager
def proof_late(world: World) -> Iterator[None]:
    world.batua("prove", "--no-bank")
    shift = "UPDATE proof_runs SET started_at = started_at {0}, finished_at = finished_at {0} WHERE kind = 'whole'"
    with world.stopped("scheduler"):
        world.sql(shift.format("- interval '2 days'"))
        try:
            yield
        finally:
            world.sql(shift.format("+ interval '2 days'"))


@contextmanager
def withdrawals_wait(world: World) -> Iterator[None]:
    with proof_failed(world):
        waiting = withdraw(world.person())
        world.sql(f"UPDATE withdrawals SET created_at = created_at - interval '10 minutes' WHERE id = '{waiting}'")
        yield


@contextmanager
def _lost_payout(world: World, *, since: str) -> Iterator[None]:
    """A payout whose outcome has been unknown for so long, at a bank that answers no enquiry."""
    world.bank.misbehave(error_rate=1.0)
    lost = withdraw(world.person())
    is_unknown = f"SELECT FROM withdrawals WHERE id = '{lost}' AND status = 'unknown'"
    try:
        eventually(lambda: world.sql(is_unknown), "the outcome is unknown", seconds=60)
        world.bank.misbehave(down=True)
        world.sql(f"UPDATE withdrawals SET active_since = active_since - interval '{since}' WHERE id = '{lost}'")
        yield
    finally:
        world.bank.misbehave()


def payout_unknown(world: World) -> AbstractContextManager[None]:
    return _lost_payout(world, since="20 minutes")


def needs_review(world: World) -> AbstractContextManager[None]:
    return _lost_payout(world, since="2 days")


@contextmanager
def books_differ(world: World) -> Iterator[None]:
    with sqlite3.connect(world.stack.layout.home / "dummy_bank.sqlite", timeout=deadline()) as bank:
        bank.row_factory = sqlite3.Row
        an_hour_ago = clock.now() - timedelta(hours=1)  # younger lines may be of what is under way
        stranger = {"reference": "from a stranger", "utr": "N000000000007"}
        book.post(bank, "hdfc", book.OUTSIDE, book.NODAL, amount=7_00, at=an_hour_ago, **stranger)
    bank.close()
    world.batua("reconcile", "--bank", "hdfc")
    yield


@contextmanager
def bank_circuit_open(world: World) -> Iterator[None]:
    world.bank.misbehave(down=True)
    for _ in range(2):
        withdraw(world.person())
    try:
        yield
    finally:
        world.bank.misbehave()


def redis_away(world: World) -> AbstractContextManager[None]:
    return world.stopped("redis")


DRILLS: dict[str, Drill] = {
    # Those that count over minutes come first: they still fire when later ones break the same things.
    "WebhookCallsRefused": Drill(webhook_calls_refused, "rejected: signature_invalid"),
    "NoticesNotSettled": Drill(notices_not_settled, "amount_mismatch"),
    "BankSlow": Drill(bank_slow, 'call="pay"'),
    "LedgerSlow": Drill(ledger_slow, "a forgotten session"),
    "RequestsFail": Drill(requests_fail, "request failed"),
    "AuditEventsLost": Drill(audit_events_lost, "audited events are lost", is_long=True),
    "ManyWrongSecrets": Drill(many_wrong_secrets, "sign_in_failed", is_long=True),
    "HashQueueLong": Drill(hash_queue_long, "sign_in_failed", is_long=True),
    "ProcessDown": Drill(no_scheduler, "stopped"),
    "TasksStopped": Drill(no_scheduler, "stopped", in_seconds=200),
    "MailLate": Drill(mail_late, "mail server cannot be reached", is_long=True),
    "PoolExhausted": Drill(pool_exhausted, "LOCK TABLE withdrawals"),
    "PostgresConnectionsScarce": Drill(connections_scarce, "a leaking tool", is_long=True),
    "ReplicationLags": Drill(replication_lags, "streaming", is_long=True),
    "RedisAway": Drill(redis_away, "stopped"),
    "RedisNearlyFull": Drill(redis_nearly_full, "batua_redis_memory_most_bytes"),
    "BooksDiffer": Drill(books_differ, "from a stranger"),
    "ProofFailed": Drill(proof_failed, "No payout leaves"),
    "BalancesNotZero": Drill(balances_not_zero, "all balances together"),
    "ProofLate": Drill(proof_late, "whole"),
    "WithdrawalsWait": Drill(withdrawals_wait, "No payout leaves"),
    "PayoutUnknown": Drill(payout_unknown, "no_answer"),
    "WithdrawalNeedsReview": Drill(needs_review, "| needs_review"),
    "BankCircuitOpen": Drill(bank_circuit_open, "hdfc"),
    "PostgresAway": Drill(postgres_away, "onnection refused", is_long=True),
}
