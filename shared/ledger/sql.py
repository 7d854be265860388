"""The ledger's SQL: lock and read the rows that commands touch, write what `rules.decide` decided.

Each statement handles a whole batch through `unnest`, in a session's transaction as on the driver's own connection.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Any
from uuid import UUID

from shared.db.transaction import Transaction
from shared.db.writes import Write, column
from shared.idempotency.claims import Claim
from shared.idempotency.store import LOOK_UP, KeyName, Known, known_from
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

LOCK_SECONDS = 0.2


class LockMode(Enum):
    """What a transaction does about an account that another one has locked."""

    WAIT = "wait"
    """Wait as long as the connection's setting allows."""
    IN_TIME = "in time"
    """Give up after LOCK_SECONDS. This holds for every lock that the transaction waits for afterwards."""
    SKIP = "skip"
    """Leave that account out. Other locks are waited for as IN_TIME."""


# The columns of the reads are the fields of the states, in their order.
_STATE = """
    id, currency, balance, held, allow_negative, seq, closed_at IS NOT NULL AS is_closed,
    frozen_at IS NOT NULL AS is_frozen, sent_on, sent_today
"""
# NO KEY UPDATE does not block inserts of rows that reference the account. Locking in id order prevents deadlocks
# between two batches.
_LOCK_ACCOUNTS = f"""
    SELECT {_STATE} FROM accounts WHERE id = ANY({{account_ids}}::uuid[]) AND {{condition}}
    ORDER BY id FOR NO KEY UPDATE {{unless_locked}}
"""  # noqa: S608 - a constant
LOCK_WALLET = f"""
    SELECT {_STATE} FROM accounts WHERE owner_id = {{owner_id}} AND kind IN ('wallet', 'merchant') AND {{condition}}
    FOR NO KEY UPDATE
"""  # noqa: S608 - a constant
"""In SQL text: locks the wallet of an owner until the transaction ends, and answers it as an AccountState."""
# The subquery is evaluated once, before any row is locked, and costs no round trip of its own.
_SET_PATIENCE = f"(SELECT set_config('lock_timeout', '{LOCK_SECONDS}s', true)) IS NOT NULL"


def _locking(mode: LockMode, account_ids: str, condition: str = "true") -> str:
    """In SQL text: locks the accounts of a parameter, on a condition that no row decides, and answers their states."""
    patient = condition if mode is LockMode.WAIT else f"{condition} AND {_SET_PATIENCE}"
    unless_locked = "SKIP LOCKED" if mode is LockMode.SKIP else ""
    return _LOCK_ACCOUNTS.format(account_ids=account_ids, condition=patient, unless_locked=unless_locked)


_LOCK = {mode: _locking(mode, "$1") for mode in LockMode}
# No account is waited for on behalf of a key that is not free: whether there is one is found out first.
_LOOK_UP_AND_LOCK = {
    mode: f"""
        WITH known AS MATERIALIZED ({LOOK_UP}),
        account AS MATERIALIZED ({_locking(mode, "$3", "NOT EXISTS (SELECT FROM known)")})
        SELECT known.*, account.* FROM (SELECT) AS asked LEFT JOIN known ON true LEFT JOIN account ON true
    """  # noqa: S608 - constants
    for mode in LockMode
}
_KNOWN_SIZE = 6
"""Columns of what is known of a key."""
_EXISTING = "SELECT id FROM accounts WHERE id = ANY($1::uuid[])"
# Holds and reversals change only under the lock on their accounts, so these reads need no lock of their own.
_READ_HOLDS = "SELECT id, account_id, amount, status = 'active' FROM holds WHERE id = ANY($1::uuid[])"
_READ_ORIGINALS = """
    SELECT original.id, original.debit_account_id, original.credit_account_id, original.amount,
           coalesce(total.reversed, 0)
    FROM transfers AS original LEFT JOIN reversed_totals AS total ON total.transfer_id = original.id
    WHERE original.id = ANY($1::uuid[])
"""
# The function derives entries, balances and the ends of holds by itself; services have no other way to write them.
_POST = f"SELECT post_to_ledger({', '.join(f'${number}' for number in range(1, 26))})"


async def existing_accounts(transaction: Transaction, account_ids: Sequence[UUID]) -> set[UUID]:
    """Which of these accounts exist, locked or not."""
    return {row[0] for row in await transaction.fetch(_EXISTING, account_ids)}


async def lock_books(
    transaction: Transaction, account_ids: Sequence[UUID], commands: Sequence[Command], mode: LockMode
) -> Books:
    """Lock the accounts in id order until the transaction ends, and read every row that the commands need."""
    return await _read_books(transaction, await transaction.fetch(_LOCK[mode], account_ids), commands)


async def look_up_and_lock(
    transaction: Transaction,
    claims: Sequence[Claim],
    account_ids: Sequence[UUID],
    commands: Sequence[Command],
    mode: LockMode,
) -> Books | dict[KeyName, Known]:
    """Lock those keys that are free. If all are, lock the accounts too, as `lock_books` does; else answer what is known
    of the others, by name, and lock no account.
    """
    owner_ids, keys = [claim.owner_id for claim in claims], [claim.key for claim in claims]
    rows = await transaction.fetch(_LOOK_UP_AND_LOCK[mode], owner_ids, keys, account_ids)
    if rows[0][0] is not None:
        return known_from(row[:_KNOWN_SIZE] for row in rows)
    accounts = [row[_KNOWN_SIZE:] for row in rows if row[_KNOWN_SIZE] is not None]
    return await _read_books(transaction, accounts, commands)


async def _read_books(transaction: Transaction, locked: Sequence[Sequence[Any]], commands: Sequence[Command]) -> Books:
    """The books of accounts that are locked, with the other rows that the commands need."""
    accounts = {row[0]: AccountState(*row) for row in locked}
    hold_ids = [command.hold_id for command in commands if not isinstance(command, Transfer)]
    original_ids = [transfer.reverses for transfer in _transfers(commands) if transfer.reverses is not None]
    holds: Mapping[UUID, HoldState] = {}
    originals: Mapping[UUID, OriginalState] = {}
    if hold_ids:
        holds = {row[0]: HoldState(*row) for row in await transaction.fetch(_READ_HOLDS, hold_ids)}
    if original_ids:
        originals = {row[0]: OriginalState(*row) for row in await transaction.fetch(_READ_ORIGINALS, original_ids)}
    return Books(accounts, holds, originals)


def posting_of(changed: Collection[AccountState], posted: Sequence[Posted], *, at: datetime) -> Write:
    """One call that writes transfers with their entries, holds placed and ended, and their accounts. `at` is UTC."""
    commands = [outcome.command for outcome in posted]
    transfers = _transfers(commands)
    captured = {command.transfer.id: command.hold_id for command in commands if isinstance(command, CaptureHold)}
    placed = [command for command in commands if isinstance(command, PlaceHold)]
    released = [command.hold_id for command in commands if isinstance(command, ReleaseHold)]
    counted = [state for state in changed if state.sent_on is not None]
    columns = (
        column([transfer.debit_account_id for transfer in transfers]),
        column([transfer.credit_account_id for transfer in transfers]),
        column([transfer.kind for transfer in transfers]),
        column([transfer.currency for transfer in transfers]),
        column([transfer.note for transfer in transfers]),
        column([transfer.initiated_by for transfer in transfers]),
        column([transfer.reverses for transfer in transfers]),
    )
    arguments = (
        [transfer.id for transfer in transfers],
        [transfer.amount for transfer in transfers],
        *(array for array, _ in columns),
        [captured.get(transfer.id) for transfer in transfers] if captured else [],
        *(same for _, same in columns),
        [state.id for state in counted],
        [state.sent_on for state in counted],
        [state.sent_today for state in counted],
        [command.hold_id for command in placed],
        [command.account_id for command in placed],
        [command.amount for command in placed],
        released,
        at,
    )
    return Write(_POST, arguments, len(transfers) + len(placed) + len(captured) + len(released), is_call=True)


def _transfers(commands: Sequence[Command]) -> list[Transfer]:
    found = [command.transfer if isinstance(command, CaptureHold) else command for command in commands]
    return [command for command in found if isinstance(command, Transfer)]
