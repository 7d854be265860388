"""A hundred thousand deliveries that no bank sent: none is accepted, none writes, and the service does not grow."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator

import asyncpg
import httpx
import psutil
import pytest

from infra.local import postgres
from infra.local.secrets import read_secrets
from infra.local.stack import Stack
from shared.banks.notices import PaymentNotice
from shared.banks.table import BANKS
from shared.config import DatabaseSettings
from shared.db.engine import create_engine, create_sessionmaker
from tests.support import bank_notices
from tests.support.bank_notices import create_on_ramp, payment_notice, signed
from tests.support.deadlines import deadline
from tests.support.factories import create_user
from tests.support.hostile_deliveries import BANK_ADDRESS, Hostile, hostile
from tests.support.share import in_share
from tests.support.whole_stack import SLOW

DELIVERIES = in_share(100_000)
AT_ONCE = 16
WARM = DELIVERIES // 10
"""Deliveries after which the service has all the memory that it needs."""
MAX_GROWTH_BYTES = 8 * 1024 * 1024
SEED = 20261120
REFUSED = {400, 401, 403, 404, 413, 415}
SETTINGS = SLOW | {
    "BATUA_PROCESSES": "1",
    "BATUA_TRUSTED_PROXIES": "127.0.0.1/32",
    **{f"BATUA_BANK_{code.upper()}_WEBHOOK_NETWORKS": f"{BANK_ADDRESS}/32" for code in BANKS},
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, free_port_base: Callable[[], int]) -> Iterator[Stack]:
    """The webhook and its database, behind a proxy."""
    stack = Stack(tmp_path_factory.mktemp("webhook"), free_port_base(), SETTINGS)
    stack.start({"postgres", "bank_webhook"})
    try:
        yield stack
    finally:
        stack.stop()


@pytest.fixture
async def notice(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PaymentNotice]:
    """True: a person waits for it."""
    secrets = read_secrets(stack.layout.secrets_file)
    for code in BANKS:
        monkeypatch.setitem(bank_notices.SECRETS, code, secrets[f"BATUA_BANK_{code.upper()}_WEBHOOK_SECRETS"])
    engine = create_engine(DatabaseSettings(database_url=stack.database_url()), application_name="tests")
    async with create_sessionmaker(engine).begin() as session:
        on_ramp = await create_on_ramp(session, await create_user(session))
    yield payment_notice(on_ramp)
    await engine.dispose()


async def writing_transactions(stack: Stack) -> int:
    """So many have begun since the server was made, in all its databases: each that writes takes the next number."""
    connection = await asyncpg.connect(stack.database_url(postgres.SUPERUSER))
    found = await connection.fetchval("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
    await connection.close()
    return int(found)


async def stop_housekeeping(stack: Stack) -> None:
    """Postgres' own work writes, too."""
    connection = await asyncpg.connect(stack.database_url(postgres.SUPERUSER))
    await connection.execute("ALTER SYSTEM SET autovacuum = off")
    await connection.execute("SELECT pg_reload_conf()")
    await connection.close()


async def deliver(url: str, deliveries: Iterator[Hostile], answers: Counter[tuple[str, int]]) -> None:
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=deadline(60)) as client:
        for each in deliveries:
            answer = await answer_to(client, each)
            answers[each.kind, answer.status_code] += 1


async def answer_to(client: httpx.AsyncClient, delivery: Hostile) -> httpx.Response:
    """On a slow machine the service may close an idle connection while the next delivery is on its way: once more."""
    request = delivery.request
    try:
        return await client.post(request.path, content=request.body, headers=delivery.headers)
    except (httpx.ReadError, httpx.RemoteProtocolError):
        return await client.post(request.path, content=request.body, headers=delivery.headers)


async def test_no_hostile_delivery_is_accepted_or_writes_or_makes_the_service_grow(
    stack: Stack, notice: PaymentNotice
) -> None:
    url, answers = stack.url("bank_webhook"), Counter[tuple[str, int]]()
    deliveries = (hostile(number, notice, SEED) for number in range(DELIVERIES))
    (pid,) = stack.serving_pids("bank_webhook")
    await stop_housekeeping(stack)
    await deliver(url, itertools.islice(deliveries, WARM), answers)
    written, before = await writing_transactions(stack), psutil.Process(pid).memory_info().rss
    await asyncio.gather(*(deliver(url, deliveries, answers) for _ in range(AT_ONCE)))
    grown = psutil.Process(pid).memory_info().rss - before
    print(f"\n{answers.total():,} deliveries, {grown / 1024:+,.0f} KiB: {dict(sorted(answers.items()))}")

    assert answers.total() == DELIVERIES
    accepted = {told: count for told, count in answers.items() if told[1] not in REFUSED}
    assert not accepted
    assert await writing_transactions(stack) == written
    assert stack.serving_pids("bank_webhook") == [pid]
    assert grown < MAX_GROWTH_BYTES
    genuine = Hostile("genuine", signed(notice))
    await deliver(url, iter([genuine, genuine]), answers)
    assert answers["genuine", 200] == 2, "the webhook works, and accepts what the bank sends"
    assert await writing_transactions(stack) > written
