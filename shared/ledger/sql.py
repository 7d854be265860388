"""The ledger's SQL: lock and read the rows that commands touch, write what `rules.decide` decided.

Each statement handles a whole batch through `unnest`, in a session's transaction as on the driver's own connection.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from enum import Enum
from uuid import UUID

from shared.db.transaction import Transaction
from shared.db.writes import Write, column
from shared.ledger.rules import (
    AccountState,
    Books,
    CaptureHold,
    Command,
    EntryLine,
    HoldState,
    OriginalState,
    PlaceHold,
    Posted,
    ReleaseHold,
    Transfer,
)
from shared.models.hold import HoldStatus

LOCK_SECONDS = 0.2


class LockMode(Enum):
    """What a transaction does about an account that another one has locked."""

    WAIT = "wait"
    """Wait as long as the connection's setting allows."""
    IN_TIME = "in time"
    """Give up after LOCK_SECONDS. This holds for every lock that the transaction waits for afterwards."""
    SKIP = "skip"
    """Leave that account out. Other locks are waited for as IN_TIME."""


# The columns of the three reads are the fields of the states, in their order.
# NO KEY UPDATE does not block inserts of rows that reference the account. Locking in id order prevents deadlocks
# between two batches.
_LOCK_ACCOUNTS = """
    SELECT id, currency, balance, held, allow_negative, seq, closed_at IS NOT NULL, sent_on, sent_today
    FROM accounts WHERE id = ANY($1::uuid[]) {condition} ORDER BY id FOR NO KEY UPDATE {unless_locked}
"""
# The subquery is evaluated once, before any row is locked, and costs no round trip of its own.
_SET_PATIENCE = f"AND (SELECT set_config('lock_timeout', '{LOCK_SECONDS}s', true)) IS NOT NULL"
_LOCK = {
    LockMode.WAIT: _LOCK_ACCOUNTS.format(condition="", unless_locked=""),
    LockMode.IN_TIME: _LOCK_ACCOUNTS.format(condition=_SET_PATIENCE, unless_locked=""),
    LockMode.SKIP: _LOCK_ACCOUNTS.format(condition=_SET_PATIENCE, unless_locked="SKIP LOCKED"),
}
_EXISTING = "SELECT id FROM accounts WHERE id = ANY($1::uuid[])"
# Holds and reversals change only under the lock on their accounts, so these reads need no lock of their own.
_READ_HOLDS = "SELECT id, account_id, amount, status = 'active' FROM holds WHERE id = ANY($1::uuid[])"
_READ_ORIGINALS = """
    SELECT original.id, original.debit_account_id, original.credit_account_id, original.amount,
           coalesce(total.reversed, 0)
    FROM transfers AS original LEFT JOIN reversed_totals AS total ON total.transfer_id = original.id
    WHERE original.id = ANY($1::uuid[])
"""
_UPDATE_ACCOUNTS = """
    UPDATE accounts SET balance = new.balance, held = coalesce(new.held, $7::bigint), seq = new.seq,
                        sent_on = coalesce(new.sent_on, $8::date), sent_today = coalesce(new.sent_today, $9::bigint)
    FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::date[], $6::bigint[])
         AS new (id, balance, seq, held, sent_on, sent_today)
    WHERE accounts.id = new.id
"""
# The entries follow from the transfers: they are sent only with what each of its two accounts came to.
_MOVED = """
    unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
           $7::uuid[], $8::uuid[], $9::text[], $10::text[], $11::text[], $12::uuid[], $13::uuid[])
    AS moved (id, amount, debit_seq, debit_balance, credit_seq, credit_balance,
              debit_account_id, credit_account_id, kind, currency, note, initiated_by, reverses)
"""
_DEBITED, _CREDITED = "coalesce(debit_account_id, $14::uuid)", "coalesce(credit_account_id, $15::uuid)"
_INSERT_TRANSFERS = f"""
    INSERT INTO transfers (id, kind, debit_account_id, credit_account_id, amount, currency, note,
                           initiated_by, reverses, created_at)
    SELECT id, coalesce(kind, $16::text), {_DEBITED}, {_CREDITED}, amount, coalesce(currency, $17::text),
           coalesce(note, $18::text), coalesce(initiated_by, $19::uuid), coalesce(reverses, $20::uuid),
           $21::timestamptz
    FROM {_MOVED}
"""  # noqa: S608 - constants of this code
_INSERT_ENTRIES = f"""
    INSERT INTO entries (account_id, seq, transfer_id, direction, amount, balance_after, created_at)
    SELECT side.account_id, side.seq, id, side.direction, amount, side.balance, $21::timestamptz
    FROM {_MOVED}
    CROSS JOIN LATERAL (VALUES
        ({_DEBITED}, debit_seq, debit_balance, 'DEBIT'), ({_CREDITED}, credit_seq, credit_balance, 'CREDIT')
    ) AS side (account_id, seq, balance, direction)
"""  # noqa: S608 - constants of this code
_INSERT_HOLDS = """
    INSERT INTO holds (id, account_id, amount, status, transfer_id, created_at, closed_at)
    SELECT id, account_id, amount, status, transfer_id, $6::timestamptz,
           CASE WHEN status <> 'active' THEN $6::timestamptz END
    FROM unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::uuid[])
         AS placed (id, account_id, amount, status, transfer_id)
"""
_CLOSE_HOLDS = """
    UPDATE holds SET status = closed.status, transfer_id = closed.transfer_id, closed_at = $4::timestamptz
    FROM unnest($1::uuid[], $2::text[], $3::uuid[]) AS closed (id, status, transfer_id)
    WHERE holds.id = closed.id
"""


_End = CaptureHold | ReleaseHold


async def lock_accounts(
    transaction: Transaction, account_ids: Sequence[UUID], mode: LockMode = LockMode.WAIT
) -> dict[UUID, AccountState]:
    """Lock the accounts in id order until the transaction ends; those that were locked, by id."""
    return {row[0]: AccountState(*row) for row in await transaction.fetch(_LOCK[mode], account_ids)}


async def existing_accounts(transaction: Transaction, account_ids: Sequence[UUID]) -> set[UUID]:
    """Which of these accounts exist, locked or not."""
    return {row[0] for row in await transaction.fetch(_EXISTING, account_ids)}


async def lock_books(
    transaction: Transaction, account_ids: Sequence[UUID], commands: Sequence[Command], mode: LockMode
) -> Books:
    """Lock the accounts in id order until the transaction ends, and read every row that the commands need."""
    accounts = await lock_accounts(transaction, account_ids, mode)
    hold_ids = [command.hold_id for command in commands if not isinstance(command, Transfer)]
    original_ids = [transfer.reverses for transfer in _transfers(commands) if transfer.reverses is not None]
    holds: Mapping[UUID, HoldState] = {}
    originals: Mapping[UUID, OriginalState] = {}
    if hold_ids:
        holds = {row[0]: HoldState(*row) for row in await transaction.fetch(_READ_HOLDS, hold_ids)}
    if original_ids:
        originals = {row[0]: OriginalState(*row) for row in await transaction.fetch(_READ_ORIGINALS, original_ids)}
    return Books(accounts, holds, originals)


def writes_of(changed: Collection[AccountState], posted: Sequence[Posted], *, at: datetime) -> list[Write]:
    """The rows to write: accounts that changed, transfers with their entries, holds placed and closed. `at` is UTC.

    A hold that is placed and closed by the same commands is written in its last state.
    """
    commands = [outcome.command for outcome in posted]
    placed = {command.hold_id: command for command in commands if isinstance(command, PlaceHold)}
    ended = {command.hold_id: command for command in commands if isinstance(command, CaptureHold | ReleaseHold)}
    return [
        _changed_accounts(changed),
        _moved(_transfers(commands), [outcome.entries for outcome in posted if outcome.entries], at),
        _new_holds(placed, ended, at),
        _ended_holds([command for hold_id, command in ended.items() if hold_id not in placed], at),
    ]


def _transfers(commands: Sequence[Command]) -> list[Transfer]:
    found = [command.transfer if isinstance(command, CaptureHold) else command for command in commands]
    return [command for command in found if isinstance(command, Transfer)]


def _changed_accounts(states: Collection[AccountState]) -> Write:
    held, same_held = column([state.held for state in states])
    sent_on, same_sent_on = column([state.sent_on for state in states])
    sent_today, same_sent_today = column([state.sent_today for state in states])
    arguments = (
        [state.id for state in states],
        [state.balance for state in states],
        [state.seq for state in states],
        *(held, sent_on, sent_today),
        *(same_held, same_sent_on, same_sent_today),
    )
    return Write(_UPDATE_ACCOUNTS, arguments, len(states))


def _moved(transfers: Sequence[Transfer], entries: Sequence[tuple[EntryLine, ...]], at: datetime) -> Write:
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
        [debit.seq for debit, _ in entries],
        [debit.balance_after for debit, _ in entries],
        [credit.seq for _, credit in entries],
        [credit.balance_after for _, credit in entries],
        *(array for array, _ in columns),
        *(same for _, same in columns),
        at,
    )
    return Write(_INSERT_TRANSFERS, arguments, len(transfers), _INSERT_ENTRIES, 2 * len(transfers))


def _new_holds(placed: Mapping[UUID, PlaceHold], ended: Mapping[UUID, _End], at: datetime) -> Write:
    last = [_state_after(ended.get(hold_id)) for hold_id in placed]
    columns = (
        list(placed),
        [command.account_id for command in placed.values()],
        [command.amount for command in placed.values()],
        [status for status, _ in last],
        [transfer_id for _, transfer_id in last],
    )
    return Write(_INSERT_HOLDS, (*columns, at), len(placed))


def _ended_holds(ended: Sequence[_End], at: datetime) -> Write:
    last = [_state_after(command) for command in ended]
    columns = (
        [command.hold_id for command in ended],
        [status for status, _ in last],
        [transfer_id for _, transfer_id in last],
    )
    return Write(_CLOSE_HOLDS, (*columns, at), len(ended))


def _state_after(end: _End | None) -> tuple[HoldStatus, UUID | None]:
    """The status of a hold, and the transfer that it became."""
    match end:
        case None:
            return HoldStatus.ACTIVE, None
        case CaptureHold():
            return HoldStatus.CAPTURED, end.transfer.id
        case ReleaseHold():
            return HoldStatus.RELEASED, None
