"""What an operator wants to know of the books and the stores: each question with its figures.

Every question reads a bounded number of rows by an index, but for `balances`, which reads every account.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from redis.asyncio import Redis
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

from services.withdraw_worker.figures import Figure, Reading
from shared import clock
from shared.banks.table import BANKS
from shared.models.bank_circuit import CircuitState
from shared.models.withdrawal import WithdrawalStatus
from shared.outbox import queue
from shared.proof import runs
from shared.tasks.names import QUEUE
from shared.withdrawals import unfinished

MAX_COUNTED = 10_000
"""Pending on-ramps that are counted, at most: more are too many in any case."""
BALANCES_SECONDS = 60
"""How long the one statement that reads every account may take."""

_BALANCE = Figure("batua_balance_paise", "Sum of the balances of a kind of account", ("kind", "account"))
_SUM = Figure("batua_balances_sum_paise", "Sum of all balances, which is 0 in books that are right")
_HELD = Figure("batua_held_paise", "Money held for withdrawals that have not ended")
_ACCOUNTS = Figure("batua_accounts", "Accounts of a kind", ("kind",))
_WITHDRAWALS = Figure(
    "batua_withdrawals_unfinished",
    f"Withdrawals by bank and status, {unfinished.MAX_COUNTED} at most",
    ("bank", "status"),
)
_OLDEST = Figure(
    "batua_withdrawal_oldest_seconds",
    "For how long the oldest withdrawal has been in the queue or, in any other status, under way; 0 without one",
    ("bank", "status"),
)
_ON_RAMPS = Figure("batua_on_ramps_pending", f"Pending on-ramps, {MAX_COUNTED} at most", ("bank",))
_CIRCUIT = Figure("batua_bank_circuit_open", "1 from the opening of a bank's circuit until the bank answers", ("bank",))
_FINDINGS = Figure(
    "batua_reconciliation_differences", "Differences to a bank's statement that are not resolved", ("bank",)
)
_SEAL = Figure("batua_last_seal_age_seconds", "Since the ledger was sealed last")
_PROOF_AGE = Figure("batua_last_proof_age_seconds", "Since the last finished run of the proof", ("kind",))
_PROOF_OK = Figure("batua_last_proof_ok", "1, or 0 while a failure of the proof stands and no payout leaves")
_MAILS = Figure("batua_mails_waiting", f"Mails and new messages that wait, {queue.MAX_COUNTED} at most")
_MAIL_DUE = Figure("batua_mail_oldest_due_seconds", "For how long the oldest waiting mail has been due")
_LAG = Figure("batua_replication_lag_bytes", "What a standby has not replayed yet", ("standby",))
_CONNECTIONS = Figure("batua_postgres_connections", "Connections to the Postgres server")
_MOST_CONNECTIONS = Figure("batua_postgres_connections_most", "Connections that the Postgres server allows")
_SIZE = Figure("batua_postgres_bytes", "Size of the database on disk")
_POSTGRES = Figure("batua_postgres_up", "1 while Postgres answers the worker")
_REDIS = Figure("batua_redis_up", "1 while Redis answers the worker", ("server",))
_KEYS = Figure("batua_redis_keys", "Keys in Redis", ("server",))
_MEMORY = Figure("batua_redis_memory_bytes", "Memory that Redis uses", ("server",))
_MOST_MEMORY = Figure("batua_redis_memory_most_bytes", "Memory that Redis may use; 0 without a limit", ("server",))
_MESSAGES = Figure("batua_broker_messages", "Messages that wait for a worker")

FIGURES = (
    *(_BALANCE, _SUM, _HELD, _ACCOUNTS, _WITHDRAWALS, _OLDEST, _ON_RAMPS, _CIRCUIT, _FINDINGS),
    *(_SEAL, _PROOF_AGE, _PROOF_OK, _MAILS, _MAIL_DUE, _LAG, _CONNECTIONS, _MOST_CONNECTIONS, _SIZE, _POSTGRES),
    *(_REDIS, _KEYS, _MEMORY, _MOST_MEMORY, _MESSAGES),
)

_READ_BALANCES = text("""
    SELECT kind, CASE WHEN owner_id IS NULL THEN name ELSE '' END AS account, CAST(sum(balance) AS bigint) AS balance,
           CAST(sum(held) AS bigint) AS held, count(*) AS accounts
    FROM accounts GROUP BY 1, 2
""")
_READ_ON_RAMPS = text("""
    SELECT bank, count(*) AS number
    FROM (SELECT bank FROM on_ramps WHERE status = 'pending' LIMIT :most) AS pending GROUP BY bank
""")
_READ_CIRCUITS = text("SELECT bank, open_until FROM bank_circuits")
_READ_FINDINGS = text("""
    SELECT bank, count(*) AS number FROM reconciliation_findings WHERE resolved_at IS NULL GROUP BY bank
""")
_READ_SEAL = text("SELECT sealed_at FROM ledger_seals ORDER BY id DESC LIMIT 1")
_READ_SERVER = text("""
    SELECT (SELECT sum(numbackends) FROM pg_stat_database) AS connections,
           CAST(current_setting('max_connections') AS integer) AS most,
           pg_database_size(current_database()) AS bytes,
           to_regprocedure('public.replication_lag()') IS NOT NULL AS tells_lag
""")
_READ_LAG = text("SELECT standby, bytes FROM public.replication_lag() WHERE bytes IS NOT NULL")


async def balances(session: AsyncSession) -> list[Reading]:
    """Money by kind of account, what is held, and the sum of everything, in one snapshot."""
    await session.execute(text(f"SET LOCAL statement_timeout = '{BALANCES_SECONDS}s'"))
    rows = (await session.execute(_READ_BALANCES)).all()
    accounts: dict[str, int] = {}
    for row in rows:
        accounts[row.kind] = accounts.get(row.kind, 0) + row.accounts
    return [
        *(Reading(_BALANCE, row.balance, (row.kind, row.account)) for row in rows),
        *(Reading(_ACCOUNTS, number, (kind,)) for kind, number in accounts.items()),
        Reading(_SUM, sum(row.balance for row in rows)),
        Reading(_HELD, sum(row.held for row in rows)),
    ]


async def withdrawals(session: AsyncSession) -> list[Reading]:
    """How many withdrawals stand where, and since when the oldest waits for a worker, or for the bank."""
    found = {(each.bank, each.status): each for each in await unfinished.read(session)}
    readings = []
    for bank in BANKS:
        for status in WithdrawalStatus:
            if not status.is_final:
                name, each = (bank, status), found.get((bank, status))
                since = None if each is None else each.oldest_at
                readings.append(Reading(_WITHDRAWALS, 0 if each is None else each.count, name))
                readings.append(Reading(_OLDEST, 0 if since is None else since, name))
    return readings


async def banks(session: AsyncSession) -> list[Reading]:
    """Circuits, on-ramps that wait for a bank's word, and differences to the banks' statements."""
    now = clock.now()
    rows = await session.execute(_READ_CIRCUITS)
    circuits = {row.bank: CircuitState.at(now, open_until=row.open_until) for row in rows}
    pending = await _by_bank(session, _READ_ON_RAMPS, most=MAX_COUNTED)
    differences = await _by_bank(session, _READ_FINDINGS)
    readings = []
    for bank in BANKS:
        is_open = circuits.get(bank, CircuitState.CLOSED) is not CircuitState.CLOSED
        readings += [
            Reading(_CIRCUIT, is_open, (bank,)),
            Reading(_ON_RAMPS, pending.get(bank, 0), (bank,)),
            Reading(_FINDINGS, differences.get(bank, 0), (bank,)),
        ]
    return readings


async def proofs(session: AsyncSession) -> list[Reading]:
    """How the proofs ended, and when the ledger was sealed. What never happened has no reading."""
    state = await runs.state(session)
    sealed_at = await session.scalar(_READ_SEAL)
    finished = {"quick": state.quick_finished_at, "whole": state.whole_finished_at}
    return [
        Reading(_PROOF_OK, not state.standing),
        *(Reading(_PROOF_AGE, at, (kind,)) for kind, at in finished.items() if at is not None),
        *([] if sealed_at is None else [Reading(_SEAL, sealed_at)]),
    ]


async def mail(session: AsyncSession) -> list[Reading]:
    """How much mail waits, and for how long it has been due."""
    backlog = await queue.backlog(session)
    due_since = clock.now() - timedelta(seconds=backlog.oldest_due_seconds)
    return [Reading(_MAILS, backlog.waiting), Reading(_MAIL_DUE, due_since if backlog.oldest_due_seconds else 0)]


async def server(session: AsyncSession) -> list[Reading]:
    """The Postgres server: connections, size, and what each standby lacks."""
    row = (await session.execute(_READ_SERVER)).one()
    lags = (await session.execute(_READ_LAG)).all() if row.tells_lag else []
    return [
        Reading(_CONNECTIONS, row.connections),
        Reading(_MOST_CONNECTIONS, row.most),
        Reading(_SIZE, row.bytes),
        *(Reading(_LAG, lag.bytes, (lag.standby,)) for lag in lags),
    ]


def postgres_is(up: bool) -> list[Reading]:
    """Whether Postgres answers."""
    return [Reading(_POSTGRES, up)]


async def redis_holds(name: str, redis: Redis) -> list[Reading]:
    """Keys and memory of a Redis. Raises one of REDIS_ERRORS."""
    memory = await redis.info("memory")
    readings = [
        Reading(_REDIS, 1, (name,)),
        Reading(_KEYS, await redis.dbsize(), (name,)),
        Reading(_MEMORY, memory["used_memory"], (name,)),
        Reading(_MOST_MEMORY, memory["maxmemory"], (name,)),
    ]
    if name == "broker":
        readings.append(Reading(_MESSAGES, await redis.llen(QUEUE)))
    return readings


def redis_is_away(name: str) -> Sequence[Reading]:
    """What is known of a Redis that does not answer."""
    return [Reading(_REDIS, 0, (name,))]


async def _by_bank(session: AsyncSession, statement: TextClause, **parameters: object) -> dict[str, int]:
    return {row.bank: row.number for row in await session.execute(statement, parameters)}
