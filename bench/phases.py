"""What `make bench` measures, phase by phase. Batua and its references take turns within a phase."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from bench import load, requests
from bench.measure import CpuUse, Memory, cpu_used, memory_sampled
from bench.payouts import Figures, drain
from bench.population import account_id, owner_id
from bench.references.thin import FUNCTION
from bench.rounds import Rounds
from bench.servers import ReferenceServer
from bench.stack import REFERENCE
from bench.statements import Statements, counted
from shared.outbox.queue import BUNDLE_SECONDS

BULK_CONNECTIONS, BULK_SECONDS = 8, 60.0
BULK_REQUESTS_PER_SECOND = 8
"""For each second that a load lasts; all of them are waited for, BULK_SECONDS at most."""
NOTICES_PER_SECOND = 2500
"""So many are prepared for each second: more than can be settled."""
IDLE_REQUESTS = 100
MAIL_POLL_SECONDS, MAIL_PATIENCE_SECONDS = 0.5, 180.0
SERVICES = ("user_app", "merchant_app", "bank_webhook", "withdraw_worker", "scheduler", "smtp", "redis", "postgres")
MAIL = ("withdraw_worker", "smtp")
TRANSFERS = ("transfers spread", "transfers to one shop")
REFERENCES = ("pgbench spread", "pgbench spread, simple", "pgbench to one account", "thin transfers", "hello")

_PENDING = """
    INSERT INTO on_ramps (id, owner_id, account_id, bank, amount, currency, status, idempotency_key, token,
                          redirect_url, is_late_success, is_contradicted, next_enquiry_at, created_at)
    SELECT uuidv7(), owner_id, account_id, 'hdfc', 20000, 'INR', 'pending', token, token, 'http://127.0.0.1/', false,
           false, now() + interval '1 day', now()
    FROM unnest($1::uuid[], $2::uuid[], $3::text[]) AS pending (owner_id, account_id, token)
"""
# A mail that is due later than the pause between two of an owner is held back by the hour's or the day's limit.
_DUE_MAIL = f"""
    SELECT (SELECT count(*) FROM mails WHERE next_attempt_at <= now() + interval '{BUNDLE_SECONDS} seconds')
           + (SELECT count(*) FROM outbox_messages WHERE next_attempt_at IS NOT NULL)
"""


@dataclass
class Extra:
    """What is measured once in a run."""

    idle_ms: float = 0.0
    half_peak_p99_ms: float = 0.0
    statements: Statements = field(default_factory=Statements)
    counted_transfers: int = 0
    mail_share: float | None = None
    """Of the stack's CPU while transfers come in."""
    mail_share_in_all: float = 0.0
    """The same with what is done between and after the loads."""
    backlog_seconds: float | None = None
    """Until no mail was due any more; None when the bench did not wait for it."""
    memory: Memory = field(default_factory=Memory)
    is_growth_known: bool = False
    """Whether memory was watched long enough to see it grow."""
    payouts: Figures | None = None


def prepare_references(rounds: Rounds) -> None:
    """Give the copied database the function of the thin app."""
    sql = FUNCTION.read_text(encoding="utf-8")
    _with_connection(rounds.bench.stack.database_url(database=REFERENCE), lambda connection: connection.execute(sql))


def single_transfers(rounds: Rounds, *, thin: ReferenceServer, hello: ReferenceServer) -> None:
    """One round of transfers, spread and to one shop, and of what they are compared with.

    The references come first: after a load Batua still has mail to send.
    """
    people = rounds.bench.people
    rounds.settle()
    rounds.measure_pgbench("pgbench spread", to_shop=False)
    rounds.measure_pgbench("pgbench spread, simple", to_shop=False, protocol="simple")
    rounds.measure_pgbench("pgbench to one account", to_shop=True)
    rounds.measure_reference("thin transfers", thin, requests.thin_transfers(people))
    rounds.measure_reference("hello", hello, requests.hello_reads())
    rounds.measure("transfers spread", "user_app", requests.transfers(people, to_shop=False))
    rounds.measure("transfers to one shop", "user_app", requests.transfers(people, to_shop=True))


def bulk(rounds: Rounds) -> None:
    """One round of requests of a thousand transfers."""
    for name, to_shop in (("bulk spread", False), ("bulk to one shop", True)):
        count = round(BULK_REQUESTS_PER_SECOND * rounds.seconds)
        sent = requests.bulk_transfers(rounds.bench.people, to_shop=to_shop, requests=count)
        rounds.measure_once(
            name,
            "user_app",
            sent,
            seconds=BULK_SECONDS,
            connections=BULK_CONNECTIONS,
            pieces=requests.BULK_ITEMS,
        )


def reads(rounds: Rounds) -> None:
    """One round of what signed-in people read most."""
    people = rounds.bench.people
    rounds.settle()
    rounds.measure("GET /wallet", "user_app", requests.api_reads("/wallet", people))
    rounds.measure("GET /transactions?limit=20", "user_app", requests.api_reads("/transactions?limit=20", people))
    rounds.measure("home page", "user_app", requests.page_reads("/", people))


def webhooks(rounds: Rounds, turn: int) -> None:
    """One round of signed notices, each of which settles a pending on-ramp of its own."""
    bench = rounds.bench
    numbers = [1 + n % len(bench.people) for n in range(int(NOTICES_PER_SECOND * rounds.seconds))]
    tokens = [f"bench{turn}x{n}" for n in range(len(numbers))]
    owners, accounts = [owner_id(n) for n in numbers], [account_id(n) for n in numbers]
    _with_connection(
        bench.stack.database_url(), lambda connection: connection.execute(_PENDING, owners, accounts, tokens)
    )
    secret = bench.secrets["BATUA_BANK_HDFC_WEBHOOK_SECRETS"].split(",")[0]
    rounds.measure_once(
        "webhooks settled",
        "bank_webhook",
        requests.notices(secret, [(token, str(owner), 20000) for token, owner in zip(tokens, owners, strict=True)]),
        seconds=rounds.seconds,
    )


def latency(rounds: Rounds, extra: Extra, *, seconds: float) -> None:
    """The median of an idle system, and the 99th percentile at half of the peak."""
    sent = requests.transfers(rounds.bench.people, to_shop=False)
    url = rounds.bench.stack.url("user_app")
    rounds.settle()
    extra.idle_ms = load.one_by_one(url, sent, count=IDLE_REQUESTS).p50_ms
    half = rounds.found["transfers spread"].per_second / 2
    with cpu_used(rounds.stack_pids) as used:
        paced = load.pace(url, sent, seconds=seconds, per_second=max(1.0, half))
    rounds.keep("transfers at half the peak", paced, used)
    extra.half_peak_p99_ms = paced.p99_ms
    rounds.say(f"  idle: {extra.idle_ms:.1f} ms")


def round_trips(rounds: Rounds, extra: Extra) -> None:
    """What user_app asks Postgres per transfer at full load."""
    sent = requests.transfers(rounds.bench.people, to_shop=False)

    async def count() -> None:
        async with counted(rounds.bench.superuser_url(), "user_app") as extra.statements:
            came = await asyncio.to_thread(
                load.keep_busy,
                rounds.bench.stack.url("user_app"),
                sent,
                seconds=rounds.seconds,
                folder=rounds.bench.folder,
            )
            extra.counted_transfers = came.answers - came.rejected

    asyncio.run(count())


@contextmanager
def mail_counted(rounds: Rounds, extra: Extra) -> Iterator[None]:
    """What part of the stack's CPU mail and worker use while the block runs, with what they do between the loads.

    What Postgres does for the references is left out.
    """
    with cpu_used(rounds.stack_pids) as used:
        yield
    for name in REFERENCES:
        used.seconds["postgres"] -= sum(each.seconds["postgres"] for each in rounds.found[name].used)
    loads = [each.seconds for name in TRANSFERS for each in rounds.found[name].used]
    during = CpuUse({name: sum(seconds[name] for seconds in loads) for name in used.seconds})
    extra.mail_share, extra.mail_share_in_all = during.share(MAIL), used.share(MAIL)


def mail(rounds: Rounds, extra: Extra, *, seconds: float) -> None:
    """The CPU of mail and worker while transfers come in and until their mail is sent, and how long that takes."""
    sent = requests.transfers(rounds.bench.people, to_shop=False)
    _until_no_mail_is_due(rounds)
    with cpu_used(rounds.stack_pids) as used:
        with cpu_used(rounds.stack_pids) as during:
            load.keep_busy(rounds.bench.stack.url("user_app"), sent, seconds=seconds, folder=rounds.bench.folder)
        extra.backlog_seconds = _until_no_mail_is_due(rounds)
    extra.mail_share, extra.mail_share_in_all = during.share(MAIL), used.share(MAIL)
    rounds.say(f"  all mail was sent {extra.backlog_seconds:.0f} s after the load")


def _until_no_mail_is_due(rounds: Rounds) -> float:
    """Wait, MAIL_PATIENCE_SECONDS at most; returns the seconds."""
    began, due = time.monotonic(), -1
    while due and time.monotonic() - began < MAIL_PATIENCE_SECONDS:
        due = _with_connection(rounds.bench.superuser_url(), lambda connection: connection.fetchval(_DUE_MAIL))
        time.sleep(MAIL_POLL_SECONDS if due else 0)
    if due:
        rounds.notes.append(f"{due:,} mails were still to be sent after {MAIL_PATIENCE_SECONDS:.0f} s")
    return time.monotonic() - began


def withdrawals(rounds: Rounds, extra: Extra, *, payouts: int, people: int) -> None:
    """A queue of withdrawals at a bank that answers after a second, until it is drained."""
    rounds.settle()
    extra.payouts = asyncio.run(drain(rounds.bench.stack, payouts=payouts, people=people, latency_ms=1000))
    rounds.say(f"  withdrawals: {extra.payouts.payouts_per_second:.1f} a second")


def memory(rounds: Rounds, extra: Extra, *, seconds: float) -> None:
    """The memory of each process while transfers come in."""
    sent = requests.transfers(rounds.bench.people, to_shop=False)
    extra.is_growth_known = True
    with memory_sampled(rounds.bench.stack, SERVICES) as extra.memory:
        load.keep_busy(rounds.bench.stack.url("user_app"), sent, seconds=seconds, folder=rounds.bench.folder)


def _with_connection(url: str, work: Callable[[asyncpg.Connection], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        connection = await asyncpg.connect(url, command_timeout=120)
        try:
            return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(run())
