"""What is so afterwards: what each caller sees of its own, the banks' statements, and what has not ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from chaos.bank import BankLine, Banks
from chaos.people import Person, Shop, Town
from shared.banks.table import BANKS

Item = Mapping[str, Any]

_UNFINISHED = """
    SELECT what, extract(epoch FROM now() - began_at)::float8 AS age_seconds FROM (
        SELECT 'on-ramp ' || id || ' ' || status AS what, created_at AS began_at FROM on_ramps WHERE status = 'pending'
        UNION ALL
        SELECT 'withdrawal ' || id || ' ' || status, created_at FROM withdrawals
        WHERE status NOT IN ('succeeded', 'failed', 'cancelled', 'reversed')
        UNION ALL
        SELECT 'hold ' || id || ' of ' || amount, created_at FROM holds WHERE status = 'active'
        UNION ALL
        SELECT 'key ' || key || ' without an answer', created_at FROM idempotency_keys WHERE status IS NULL
    ) AS unfinished
"""
_SYSTEM = "SELECT id, kind, balance FROM accounts WHERE owner_id IS NULL"
_TOTALS = "SELECT (SELECT sum(balance) FROM accounts)::bigint AS paise, (SELECT count(*) FROM owners) AS owners"
_MAILS = "SELECT count(*) FROM outbox_messages WHERE next_attempt_at IS NOT NULL"


@dataclass(slots=True)
class Holding:
    """What one caller sees. Paise."""

    name: str
    wallet_id: str
    is_person: bool
    balance: int
    held: int
    available: int
    statement: Sequence[Item]
    withdrawals: Sequence[Item]
    on_ramps: Sequence[Item] = ()
    pots: Mapping[str, int] = field(default_factory=dict)
    """By the id of the pot, its balance."""


@dataclass(slots=True)
class Truth:
    """Everything that the judgement compares with the journal. Paise."""

    holdings: Sequence[Holding]
    bank_lines: Sequence[BankLine]
    unfinished: Sequence[str] = ()
    """Rows, calls and notices that had not ended in time."""
    settlement: Mapping[str, int] = field(default_factory=dict)
    """The account that mirrors our money at each bank."""
    other_system: Mapping[str, int] = field(default_factory=dict)
    """The platform's other accounts by their kind."""
    total: int = 0
    owners: int = 0
    welcome: int = 0


async def unfinished_rows(connection: asyncpg.Connection) -> dict[str, float]:
    """What the platform has still to do, and how many seconds ago each began."""
    return {row["what"]: row["age_seconds"] for row in await connection.fetch(_UNFINISHED)}


async def waiting_mails(connection: asyncpg.Connection) -> int:
    """Messages that are not sent yet; mail waits for longer than money."""
    return int(await connection.fetchval(_MAILS))


async def look(
    town: Town, banks: Banks, connection: asyncpg.Connection, *, unfinished: Sequence[str], welcome: int
) -> Truth:
    """Read it all, when nothing moves any more."""
    totals = await connection.fetchrow(_TOTALS)
    system = await connection.fetch(_SYSTEM)
    balances = {row["id"]: row["balance"] for row in system}
    holdings = [await _look_at_person(person) for person in town.people]
    holdings += [await _look_at_shop(shop) for shop in town.shops]
    return Truth(
        holdings=holdings,
        bank_lines=await banks.statement(),
        unfinished=unfinished,
        settlement={code: balances[bank.settlement_account_id] for code, bank in BANKS.items()},
        other_system={row["kind"]: row["balance"] for row in system if row["kind"] != "bank_settlement"},
        total=totals["paise"],
        owners=totals["owners"],
        welcome=welcome,
    )


async def _look_at_person(person: Person) -> Holding:
    holding = await _look_at_shop(person)
    holding.is_person = True
    holding.on_ramps = await person.get_all("/on-ramps")
    accounts = (await person.get("/accounts?limit=100"))["items"]
    holding.pots = {item["id"]: item["balance"] for item in accounts if item["kind"] == "pot"}
    return holding


async def _look_at_shop(caller: Person | Shop) -> Holding:
    wallet = await caller.get("/wallet")
    return Holding(
        name=caller.name,
        wallet_id=caller.wallet_id,
        is_person=False,
        balance=wallet["balance"],
        held=wallet["held"],
        available=wallet["available"],
        statement=await caller.get_all("/transactions"),
        withdrawals=await caller.get_all("/withdrawals"),
    )
