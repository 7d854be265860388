"""What one transfer costs the ledger, by the size of the batch it is in: `make bench-scale`.

Transfers go from the ledger's queue to Postgres as user_app sends them, with key, answer and mail, and without HTTP. Of
each size of batch it prints what a transfer costs: CPU of the client and of Postgres, bytes of write-ahead log, and by
how much the tables and their indexes grow. What serves 1,000 transfers a second, and so a region, is computed from this
in docs/scaling.md. It judges nothing; it fails when the books are not right.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count, islice
from uuid import UUID

import asyncpg
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncEngine

from bench.__main__ import FILE_COLUMNS
from bench.measure import cpu_used
from bench.population import account_id
from bench.stack import Bench, proven, running_bench
from shared.config import DatabaseSettings, MovementLimits
from shared.db.engine import create_engine, create_sessionmaker
from shared.http.keyed_requests import SEND_MONEY
from shared.idempotency.claims import Answer
from shared.ids import new_id
from shared.ledger.group_commit import GroupCommit
from shared.ledger.limits import Limits, SendingLimit
from shared.ledger.parties import Holder, holders
from shared.ledger.post import Instruction
from shared.ledger.rules import Posted
from shared.transfers.limits import sending_limits
from shared.transfers.planning import mail_to_recipient, transfer_between
from shared.transfers.views import Ends, receipt_for

SIZES = (1, 10, 100, 256)
TRANSFERS = 20_000
"""So many at each size, and no more than TRANSFERS / 100 batches."""
QUICK_TRANSFERS = 2_000
AMOUNT = 100
_POSITION = "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"
_SIZES = """
    SELECT relname, pg_table_size(oid), pg_indexes_size(oid) FROM pg_class
    WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """What so many transfers in batches of `size` cost in all. CPU in seconds, the rest in bytes."""

    size: int
    transfers: int
    client_seconds: float
    postgres_seconds: float
    record_bytes: float
    """Of write-ahead log, per transfer, without whole pages."""
    log_bytes: int
    """Of write-ahead log in all, from one checkpoint on."""
    grown: Mapping[str, tuple[int, int]]
    """By table: its own growth, and that of its indexes."""


def main() -> int:
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=FILE_COLUMNS)
    logging.disable(logging.INFO)
    transfers = QUICK_TRANSFERS if os.environ.get("QUICK") == "1" else TRANSFERS
    with running_bench(lambda what: console.print(f"[dim]{what}[/]"), processes={"postgres"}) as bench:
        costs = asyncio.run(measure(bench, transfers))
        proof = asyncio.run(proven(bench.stack))
    console.print(costs_table(costs))
    console.print(growth_table(costs[-1]))
    console.print("The books are right." if proof.ok else f"The books are wrong: {proof.failed}")
    return 0 if proof.ok else 1


async def measure(bench: Bench, transfers: int) -> list[Cost]:
    """The cost at each size, after a few batches that warm caches and plans."""
    url = SecretStr(bench.stack.database_url("user_app"))
    engine = create_engine(DatabaseSettings(database_url=url), application_name="bench")
    observer = await asyncpg.connect(bench.superuser_url(), command_timeout=120)
    try:
        known = await _people(engine, len(bench.people))
        found = []
        for size in SIZES:
            instructions = _instructions(known)
            await _post(engine, instructions, size=size, batches=5)
            batches = max(1, min(transfers // size, transfers // 100))
            found.append(await _cost(bench, engine, observer, instructions, size=size, batches=batches))
        return found
    finally:
        await observer.close()
        await engine.dispose()


async def _cost(
    bench: Bench,
    engine: AsyncEngine,
    observer: asyncpg.Connection,
    instructions: Iterator[Instruction],
    *,
    size: int,
    batches: int,
) -> Cost:
    records = await _log_of_records(engine, observer, instructions, size=size, batches=max(1, batches // 4))
    await observer.execute("CHECKPOINT")
    before, position = await _sizes(observer), await observer.fetchval(_POSITION)
    with cpu_used({"postgres": [bench.stack.pid("postgres")]}) as used:
        began = time.process_time()
        await _post(engine, instructions, size=size, batches=batches)
        client_seconds = time.process_time() - began
    log_bytes = int(await observer.fetchval(_POSITION) - position)
    after = await _sizes(observer)
    grown = {name: (after[name][0] - own, after[name][1] - indexes) for name, (own, indexes) in before.items()}
    return Cost(size, size * batches, client_seconds, used.seconds["postgres"], records, log_bytes, grown)


async def _log_of_records(
    engine: AsyncEngine, observer: asyncpg.Connection, instructions: Iterator[Instruction], *, size: int, batches: int
) -> float:
    """Bytes of log per transfer while Postgres writes no whole pages, of which a checkpoint makes it write many."""
    await _set_full_page_writes(observer, "off")
    position = await observer.fetchval(_POSITION)
    await _post(engine, instructions, size=size, batches=batches)
    log_bytes = await observer.fetchval(_POSITION) - position
    await _set_full_page_writes(observer, "on")
    return float(log_bytes) / (size * batches)


async def _set_full_page_writes(observer: asyncpg.Connection, value: str) -> None:
    await observer.execute(f"ALTER SYSTEM SET full_page_writes = {value}")
    await observer.execute("SELECT pg_reload_conf()")
    await observer.execute("CHECKPOINT")  # the checkpointer takes the setting up


async def _sizes(observer: asyncpg.Connection) -> dict[str, tuple[int, int]]:
    return {name: (own, indexes) for name, own, indexes in await observer.fetch(_SIZES)}


async def _people(engine: AsyncEngine, people: int) -> list[Holder]:
    async with create_sessionmaker(engine)() as session:
        known = await holders(session, [account_id(number) for number in range(1, people + 1)])
    return list(known.values())


def _instructions(people: Sequence[Holder]) -> Iterator[Instruction]:
    """Each pays the one who is farther along by a step that grows: no two payments of one batch meet often."""
    limits = sending_limits(MovementLimits())
    for number in count():
        payer = people[number % len(people)]
        payee = people[(number + 1 + number // len(people)) % len(people)]
        assert payer.owner_id is not None
        yield _instruction(Ends(payer, payee), payer.owner_id, limits)


def _instruction(ends: Ends, owner_id: UUID, limits: Limits) -> Instruction:
    request = SEND_MONEY.request(owner_id, str(new_id()))
    limit = SendingLimit(ends.debit.account_id, limits)

    def answer(posted: Posted) -> Answer:
        return request.answer(receipt_for(posted, ends, owner_id))

    return Instruction(
        transfer_between(ends, amount=AMOUNT, note=None, initiated_by=owner_id, limit=limit),
        request.claim(to=ends.credit.wallet_id, amount=AMOUNT, note=None, from_account=None),
        answer=answer,
        messages=partial(mail_to_recipient, ends),
    )


async def _post(engine: AsyncEngine, instructions: Iterator[Instruction], *, size: int, batches: int) -> None:
    """Offer one batch at a time: all that wait together are written together."""
    ledger = GroupCommit(engine, max_batch=size)
    for _ in range(batches):
        outcomes = await asyncio.gather(*[ledger.post(each) for each in islice(instructions, size)])
        if not all(isinstance(outcome, Posted) for outcome in outcomes):
            raise SystemExit(f"a transfer was not posted: {outcomes}")
    await ledger.close()


def costs_table(costs: Sequence[Cost]) -> Table:
    """What one transfer costs at each size of batch."""
    table = Table(title="One transfer", title_justify="left")
    for name in ("in batches of", "client, CPU ms", "Postgres, CPU ms", "together"):
        table.add_column(name, justify="right")
    for name in ("WAL, kB", "with whole pages", "rows, kB", "indexes, kB"):
        table.add_column(name, justify="right")
    for cost in costs:
        cpu = [1000 * seconds / cost.transfers for seconds in (cost.client_seconds, cost.postgres_seconds)]
        own, indexes = (sum(grown[part] for grown in cost.grown.values()) for part in (0, 1))
        kilobytes = [each / 1000 / cost.transfers for each in (cost.log_bytes, own, indexes)]
        kilobytes.insert(0, cost.record_bytes / 1000)
        table.add_row(f"{cost.size}", *[f"{ms:.3f}" for ms in (*cpu, sum(cpu))], *[f"{each:.2f}" for each in kilobytes])
    return table


def growth_table(cost: Cost) -> Table:
    """By how many bytes a transfer of the largest batches makes each table grow."""
    table = Table(title=f"Bytes on disk per transfer, in batches of {cost.size}", title_justify="left")
    for name in ("table", "rows", "indexes"):
        table.add_column(name, justify="left" if name == "table" else "right")
    for name, grown in sorted(cost.grown.items(), key=lambda each: -sum(each[1])):
        if sum(grown) > cost.transfers:
            table.add_row(name, *[f"{each / cost.transfers:,.0f}" for each in grown])
    return table


if __name__ == "__main__":
    sys.exit(main())
