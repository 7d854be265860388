"""How fast the worker drains a queue of withdrawals at a bank that takes a second, and what that costs.

`python -m bench.payouts` brings its own stack, fills the queue through the ledger, measures, prints and cleans up. It
judges nothing; what it does insist on is that every withdrawal is settled and that the books are proven.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import accumulate
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
from pydantic import SecretStr
from sqlalchemy import func, insert, select

from infra.local.secrets import read_secrets
from infra.local.stack import Stack
from shared import clock
from shared.config import DatabaseSettings
from shared.db.engine import SessionMaker, create_engine, create_sessionmaker
from shared.ids import new_id, new_token
from shared.ledger import system_accounts
from shared.ledger.post import post
from shared.ledger.rules import PlaceHold, Posted, Transfer
from shared.models import Account, Owner, User, Withdrawal, WithdrawalEvent
from shared.models.withdrawal import WithdrawalStatus
from shared.proof.prove import prove

AMOUNT = 1_00
BATCH = 500
PROCESSES = ("postgres", "redis", "smtp", "bank_webhook", "dummy_bank", "withdraw_worker", "scheduler")
LOOK_SECONDS = 0.5
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Figures:
    """What a drain showed. Rates are per second; the window lasts from the first call until the last one begins, when
    slots start to be free for want of work.
    """

    payouts: int
    seconds: float
    payouts_per_second: float
    most_in_flight: int
    mean_in_flight: float
    worker_cpu_ms_per_payout: float
    postgres_cpu_ms_per_payout: float
    transactions_per_payout: float


@dataclass(frozen=True)
class _Meter:
    """Counters that only grow."""

    worker_cpu: float
    postgres_cpu: float
    transactions: int


async def drain(stack: Stack, *, payouts: int, people: int, latency_ms: int) -> Figures:
    """Fill the queue of a running stack at one bank, let its worker drain it, and say how that went."""
    engine = create_engine(
        DatabaseSettings(database_url=SecretStr(stack.database_url())), application_name="bench_payouts"
    )
    sessionmaker = create_sessionmaker(engine)
    key = read_secrets(stack.layout.secrets_file)["BATUA_BANK_HDFC_API_KEY"]
    bank = httpx.AsyncClient(
        base_url=f"{stack.url('dummy_bank')}/hdfc", headers={"X-Api-Key": key}, timeout=60, trust_env=False
    )
    try:
        (await bank.put("/api/faults", json={"latency_ms": latency_ms})).raise_for_status()
        wallets = await create_people(sessionmaker, people, balance=AMOUNT * (payouts // people + 1))
        before = await _read_meter(stack)
        ids = await fill_queue(sessionmaker, wallets, payouts)
        await _until_settled(sessionmaker, ids)
        after = await _read_meter(stack)
        calls = [call for call in (await bank.get("/api/calls")).json()["items"] if call["reference"] in ids]
        report = await prove(sessionmaker)
        if not report.ok:
            raise AssertionError(f"the books are not proven: {report}")
    finally:
        await bank.aclose()
        await engine.dispose()
    return _figures(calls, before, after)


async def create_people(sessionmaker: SessionMaker, people: int, *, balance: int) -> list[tuple[UUID, UUID]]:
    """Owner and wallet of each, funded."""
    made = [(new_id(), new_id()) for _ in range(people)]
    now = clock.now()
    owners = [
        {
            "id": owner,
            "kind": "user",
            "email": f"{new_token(8).lower()}@example.test",
            "password_hash": "!",
            "pin_hash": "!",
            "created_at": now,
        }
        for owner, _ in made
    ]
    wallets = [
        {
            "id": wallet,
            "owner_id": owner,
            "kind": "wallet",
            "name": "Asha",
            "handle": f"asha-{new_token(6).lower()}@batua",
            "currency": "INR",
            "created_at": now,
        }
        for owner, wallet in made
    ]
    async with sessionmaker.begin() as session:
        await session.execute(insert(Owner), owners)
        await session.execute(
            insert(User), [{"id": owner, "first_name": "Asha", "last_name": "Rao"} for owner, _ in made]
        )
        await session.execute(insert(Account), wallets)
        for start in range(0, people, BATCH):
            await post(
                session,
                [
                    Transfer(new_id(), "funding", system_accounts.FUNDING, wallet, balance)
                    for _, wallet in made[start : start + BATCH]
                ],
            )
    return made


async def fill_queue(sessionmaker: SessionMaker, people: Sequence[tuple[UUID, UUID]], payouts: int) -> set[str]:
    """Withdrawals of AMOUNT each; people take turns. Returns their ids.

    Everything is committed at once, so that the queue is full when the worker looks.
    """
    ids: set[str] = set()
    async with sessionmaker.begin() as session:
        for start in range(0, payouts, BATCH):
            turns = [(new_id(), *people[number % len(people)]) for number in range(start, min(start + BATCH, payouts))]
            holds = [PlaceHold(new_id(), wallet, AMOUNT, "INR") for _, _, wallet in turns]
            if not all(isinstance(outcome, Posted) for outcome in await post(session, holds)):
                raise AssertionError("a hold was refused")
            rows = [_row(withdrawal, owner, hold) for (withdrawal, owner, _), hold in zip(turns, holds, strict=True)]
            await session.execute(insert(Withdrawal), rows)
            events = [
                {
                    "withdrawal_id": row["id"],
                    "seq": 1,
                    "status": "queued",
                    "kind": "queued",
                    "facts": {},
                    "at": row["created_at"],
                }
                for row in rows
            ]
            await session.execute(insert(WithdrawalEvent), events)
            ids.update(str(row["id"]) for row in rows)
    return ids


def _row(withdrawal: UUID, owner: UUID, hold: PlaceHold) -> dict[str, Any]:
    return {
        "id": withdrawal,
        "owner_id": owner,
        "account_id": hold.account_id,
        "bank": "hdfc",
        "account_number": "50100123451234",
        "ifsc": "HDFC0001234",
        "account_holder": "Asha Rao",
        "amount": AMOUNT,
        "currency": "INR",
        "status": WithdrawalStatus.QUEUED,
        "hold_id": hold.hold_id,
        "attempts": 0,
        "created_at": clock.now(),
    }


async def _until_settled(sessionmaker: SessionMaker, ids: set[str]) -> None:
    """Wait while withdrawals end. Raises AssertionError when none did for a minute, or one did not succeed."""
    first = min(map(UUID, ids))  # ids are in the order of the queue, so older ones are none of ours
    statement = select(Withdrawal.status, func.count()).where(Withdrawal.id >= first).group_by(Withdrawal.status)
    moved_at, left_before = time.monotonic(), -1
    while True:
        async with sessionmaker() as session:
            counts = {str(status): count for status, count in await session.execute(statement)}
        left = len(ids) - counts.get("succeeded", 0)
        if left <= 0:
            return
        if left != left_before:
            moved_at, left_before = time.monotonic(), left
        if time.monotonic() - moved_at > 60:
            raise AssertionError(f"the queue does not get shorter: {counts}")
        await asyncio.sleep(LOOK_SECONDS)


def _figures(calls: Sequence[dict[str, Any]], before: _Meter, after: _Meter) -> Figures:
    spans = [(_moment(call["started_at"]), _moment(call["ended_at"])) for call in calls]
    began = min(started for started, _ in spans)
    # When the last withdrawal of the queue goes out, slots begin to be free for want of work.
    full_until = max(started for started, _ in spans)
    points = sorted([(started, 1) for started, _ in spans] + [(ended, -1) for _, ended in spans])
    levels = list(accumulate(step for _, step in points))
    busy = sum(max(0.0, min(ended, full_until) - started) for started, ended in spans)
    window = max(full_until - began, 1e-9)
    ended_in_window = sum(ended <= full_until for _, ended in spans)
    done = len(spans)
    return Figures(
        payouts=done,
        seconds=round(window, 2),
        payouts_per_second=round(ended_in_window / window, 2),
        most_in_flight=max(levels),
        mean_in_flight=round(busy / window, 2),
        worker_cpu_ms_per_payout=round((after.worker_cpu - before.worker_cpu) * 1000 / done, 2),
        postgres_cpu_ms_per_payout=round((after.postgres_cpu - before.postgres_cpu) * 1000 / done, 2),
        transactions_per_payout=round((after.transactions - before.transactions) / done, 2),
    )


def _moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


async def _read_meter(stack: Stack) -> _Meter:
    """CPU seconds of the worker and of Postgres, and what its role asked of Postgres."""
    connection = await asyncpg.connect(stack.database_url("postgres"))
    try:
        transactions = await connection.fetchval(
            "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = 'batua'"
        )
    finally:
        await connection.close()
    postgres = stack.pid("postgres")
    return _Meter(
        worker_cpu=_cpu_seconds([stack.pid("withdraw_worker")]),
        postgres_cpu=_cpu_seconds([postgres, *_children(postgres)]),
        transactions=transactions,
    )


def _cpu_seconds(pids: Iterable[int]) -> float:
    ticks = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        except OSError:
            continue
        ticks += sum(int(field) for field in fields[11:15])
    return ticks / TICKS_PER_SECOND


def _children(parent: int) -> list[int]:
    found = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii")
    return [int(pid) for pid in found.split()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--payouts", type=int, default=10_000)
    parser.add_argument("--people", type=int, default=1_000)
    parser.add_argument("--latency-ms", type=int, default=1_000, help="how long the bank takes")
    parser.add_argument("--port-base", type=int, default=28_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="batua-payouts-") as home:
        stack = Stack(Path(home), given.port_base)
        stack.start(PROCESSES)
        try:
            figures = asyncio.run(drain(stack, payouts=given.payouts, people=given.people, latency_ms=given.latency_ms))
        finally:
            stack.stop()
    for name, value in asdict(figures).items():
        print(f"{name:32} {value}")


if __name__ == "__main__":
    main()
