"""The ledger's SQL: lock and read the rows that commands touch, write what `rules.decide` decided.

Each statement handles a whole batch through `unnest`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.ledger.rules import (
    AccountState,
    Books,
    CaptureHold,
    Command,
    HoldState,
    OriginalState,
    PlaceHold,
    Posted,
    ReleaseHold,
    Transfer,
)
from shared.models.hold import HoldStatus

# NO KEY UPDATE does not block inserts of rows that reference the account. Locking in id order prevents deadlocks
# between two batches.
_LOCK_ACCOUNTS = text("""
    SELECT id, currency, balance, held, allow_negative, seq, closed_at IS NOT NULL AS is_closed, sent_on, sent_today
    FROM accounts WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY id FOR NO KEY UPDATE
""")
# Holds and reversals change only under the lock on their accounts, so this read needs no lock of its own.
_READ_HOLDS = text("""
    SELECT id, account_id, amount, status = 'active' AS is_active
    FROM holds WHERE id = ANY(CAST(:ids AS uuid[]))
""")
_READ_ORIGINALS = text("""
    SELECT original.id, original.debit_account_id, original.credit_account_id, original.amount,
           coalesce(total.reversed, 0) AS reversed
    FROM transfers AS original LEFT JOIN reversed_totals AS total ON total.transfer_id = original.id
    WHERE original.id = ANY(CAST(:ids AS uuid[]))
""")
_UPDATE_ACCOUNTS = text("""
    UPDATE accounts SET balance = new.balance, held = new.held, seq = new.seq,
                        sent_on = new.sent_on, sent_today = new.sent_today
    FROM unnest(CAST(:ids AS uuid[]), CAST(:balances AS bigint[]), CAST(:held AS bigint[]),
                CAST(:seqs AS bigint[]), CAST(:sent_on AS date[]), CAST(:sent_today AS bigint[]))
         AS new (id, balance, held, seq, sent_on, sent_today)
    WHERE accounts.id = new.id
""")
_INSERT_TRANSFERS = text("""
    INSERT INTO transfers (id, kind, debit_account_id, credit_account_id, amount, currency, note,
                           initiated_by, reverses, created_at)
    SELECT *, :at FROM unnest(CAST(:ids AS uuid[]), CAST(:kinds AS text[]), CAST(:debits AS uuid[]),
        CAST(:credits AS uuid[]), CAST(:amounts AS bigint[]), CAST(:currencies AS text[]),
        CAST(:notes AS text[]), CAST(:initiators AS uuid[]), CAST(:reverses AS uuid[]))
""")
_INSERT_ENTRIES = text("""
    INSERT INTO entries (account_id, seq, transfer_id, direction, amount, balance_after, created_at)
    SELECT *, :at FROM unnest(CAST(:accounts AS uuid[]), CAST(:seqs AS bigint[]), CAST(:transfers AS uuid[]),
        CAST(:directions AS text[]), CAST(:amounts AS bigint[]), CAST(:balances AS bigint[]))
""")
_INSERT_HOLDS = text("""
    INSERT INTO holds (id, account_id, amount, status, created_at)
    SELECT id, account_id, amount, 'active', :at
    FROM unnest(CAST(:ids AS uuid[]), CAST(:accounts AS uuid[]), CAST(:amounts AS bigint[]))
         AS placed (id, account_id, amount)
""")
_CLOSE_HOLDS = text("""
    UPDATE holds SET status = closed.status, transfer_id = closed.transfer_id, closed_at = :at
    FROM unnest(CAST(:ids AS uuid[]), CAST(:statuses AS text[]), CAST(:transfers AS uuid[]))
         AS closed (id, status, transfer_id)
    WHERE holds.id = closed.id
""")


async def lock_books(session: AsyncSession, account_ids: Sequence[UUID], commands: Sequence[Command]) -> Books:
    """Lock the accounts in id order until the transaction ends, and read every row that the commands need."""
    locked = await session.execute(_LOCK_ACCOUNTS, {"ids": list(account_ids)})
    accounts = {row["id"]: AccountState(**row) for row in locked.mappings()}
    hold_ids = [command.hold_id for command in commands if not isinstance(command, Transfer)]
    original_ids = [transfer.reverses for transfer in _transfers(commands) if transfer.reverses is not None]
    holds: Mapping[UUID, HoldState] = {}
    originals: Mapping[UUID, OriginalState] = {}
    if hold_ids:
        held = await session.execute(_READ_HOLDS, {"ids": hold_ids})
        holds = {row["id"]: HoldState(**row) for row in held.mappings()}
    if original_ids:
        found = await session.execute(_READ_ORIGINALS, {"ids": original_ids})
        originals = {row["id"]: OriginalState(**row) for row in found.mappings()}
    return Books(accounts, holds, originals)


async def write(session: AsyncSession, before: Books, after: Books, posted: Sequence[Posted], *, at: datetime) -> None:
    """Write the decided changes: accounts, holds placed, transfers with their entries, holds closed. `at` is UTC."""
    changed = [state for state in after.accounts.values() if before.accounts.get(state.id) != state]
    commands = [outcome.command for outcome in posted]
    if changed:
        await session.execute(_UPDATE_ACCOUNTS, _account_columns(changed))
    placed = [command for command in commands if isinstance(command, PlaceHold)]
    if placed:
        await session.execute(_INSERT_HOLDS, _hold_columns(placed) | {"at": at})
    transfers = _transfers(commands)
    if transfers:
        await session.execute(_INSERT_TRANSFERS, _transfer_columns(transfers) | {"at": at})
        await session.execute(_INSERT_ENTRIES, _entry_columns(posted) | {"at": at})
    closed = [command for command in commands if isinstance(command, CaptureHold | ReleaseHold)]
    if closed:
        await session.execute(_CLOSE_HOLDS, _closed_columns(closed) | {"at": at})


def _transfers(commands: Sequence[Command]) -> list[Transfer]:
    found = [command.transfer if isinstance(command, CaptureHold) else command for command in commands]
    return [command for command in found if isinstance(command, Transfer)]


def _account_columns(states: Sequence[AccountState]) -> dict[str, Any]:
    return {
        "ids": [state.id for state in states],
        "balances": [state.balance for state in states],
        "held": [state.held for state in states],
        "seqs": [state.seq for state in states],
        "sent_on": [state.sent_on for state in states],
        "sent_today": [state.sent_today for state in states],
    }


def _transfer_columns(transfers: Sequence[Transfer]) -> dict[str, Any]:
    return {
        "ids": [transfer.id for transfer in transfers],
        "kinds": [transfer.kind for transfer in transfers],
        "debits": [transfer.debit_account_id for transfer in transfers],
        "credits": [transfer.credit_account_id for transfer in transfers],
        "amounts": [transfer.amount for transfer in transfers],
        "currencies": [transfer.currency for transfer in transfers],
        "notes": [transfer.note for transfer in transfers],
        "initiators": [transfer.initiated_by for transfer in transfers],
        "reverses": [transfer.reverses for transfer in transfers],
    }


def _entry_columns(posted: Sequence[Posted]) -> dict[str, Any]:
    lines = [line for outcome in posted for line in outcome.entries]
    return {
        "accounts": [line.account_id for line in lines],
        "seqs": [line.seq for line in lines],
        "transfers": [line.transfer_id for line in lines],
        "directions": [line.direction for line in lines],
        "amounts": [line.amount for line in lines],
        "balances": [line.balance_after for line in lines],
    }


def _hold_columns(placed: Sequence[PlaceHold]) -> dict[str, Any]:
    return {
        "ids": [command.hold_id for command in placed],
        "accounts": [command.account_id for command in placed],
        "amounts": [command.amount for command in placed],
    }


def _closed_columns(closed: Sequence[CaptureHold | ReleaseHold]) -> dict[str, Any]:
    captured = [command.transfer.id if isinstance(command, CaptureHold) else None for command in closed]
    return {
        "ids": [command.hold_id for command in closed],
        "statuses": [HoldStatus.RELEASED if transfer_id is None else HoldStatus.CAPTURED for transfer_id in captured],
        "transfers": captured,
    }
