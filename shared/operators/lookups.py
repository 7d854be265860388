"""What an operator finds: a person or shop, a movement, a withdrawal, an on-ramp, what a bank told us.

Nothing here is a secret: no hash, no token, and account numbers are masked. Amounts are paise, times are UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from shared import spans
from shared.audit.queries import find as find_events
from shared.audit.queries import owners_named
from shared.banks.account_numbers import masked
from shared.banks.table import BANKS
from shared.ids import smallest_id
from shared.ledger.parties import holders
from shared.models import (
    Account,
    AuditEvent,
    EmailConfirmation,
    Entry,
    OnRamp,
    OpeningBalance,
    OperatorAction,
    Owner,
    ReversedTotal,
    Transfer,
    WebhookDelivery,
    Withdrawal,
    WithdrawalEvent,
)
from shared.models.webhook_delivery import Verdict
from shared.models.withdrawal import WithdrawalStatus
from shared.operators import actions

MAX_LISTED = 200
NEWEST = 10
"""Of what an owner has many of, so many are shown: the newest."""

Found = dict[str, Any]
_ById = Callable[[AsyncSession, UUID], Coroutine[Any, Any, Found | None]]


async def find(session: AsyncSession, name: str, *, since: datetime | None = None) -> list[Found]:
    """Everything of this name: a wallet id, an email, any id of ours, a UTR or a bank's reference, a bank's id of a
    notice, or the id of a request. No index has UTRs, references and request ids: without `since` they are
    looked for in whole tables."""
    try:
        asked = UUID(name)
    except ValueError:
        return [*await _owners(session, await owners_named(session, name)), *await _of_text(session, name, since)]
    by_id: tuple[_ById, ...] = (withdrawal, on_ramp, transfer, delivery, action, _account)
    looked_up = [await look_up(session, asked) for look_up in by_id]
    found = [each for each in looked_up if each is not None]
    return [*await _owners(session, [asked]), *found, *await _of_text(session, name, since)]


async def withdrawals(
    session: AsyncSession, *, status: WithdrawalStatus | None = None, owner_id: UUID | None = None, limit: int
) -> list[Found]:
    """The newest withdrawals that fit."""
    statement = select(Withdrawal).order_by(Withdrawal.id.desc()).limit(min(limit, MAX_LISTED))
    if status is not None:
        statement = statement.where(Withdrawal.status == status)
    if owner_id is not None:
        statement = statement.where(Withdrawal.owner_id == owner_id)
    return [_withdrawal(each) for each in await session.scalars(statement)]


async def under_review(session: AsyncSession) -> list[Found]:
    """Withdrawals that an operator has to decide, the longest active first; at most MAX_LISTED."""
    statement = select(Withdrawal).where(Withdrawal.status == WithdrawalStatus.NEEDS_REVIEW)
    found = await session.scalars(statement.order_by(Withdrawal.active_since).limit(MAX_LISTED))
    return [_withdrawal(each) for each in found]


async def withdrawal(session: AsyncSession, withdrawal_id: UUID) -> Found | None:
    """One withdrawal with its timeline, what its bank told us, and what operators did; or None."""
    found = await session.get(Withdrawal, withdrawal_id)
    if found is None:
        return None
    events = select(WithdrawalEvent).where(WithdrawalEvent.withdrawal_id == withdrawal_id)
    notices = select(WebhookDelivery).where(WebhookDelivery.withdrawal_id == withdrawal_id)
    return _withdrawal(found) | {
        "lease_expires_at": found.lease_expires_at,
        "next_attempt_at": found.next_attempt_at,
        "transfer_id": found.transfer_id,
        "reversal_transfer_id": found.reversal_transfer_id,
        "trace_id": spans.trace_of(found.traceparent),
        "timeline": [
            {"at": each.at, "status": each.status, "kind": each.kind, **each.facts}
            for each in await session.scalars(events.order_by(WithdrawalEvent.seq.desc()).limit(MAX_LISTED))
        ][::-1],
        "notices": [_delivery(each) for each in await _newest(session, notices, WebhookDelivery.id)],
        "operators": await _actions(session, withdrawal_id),
    }


async def on_ramp(session: AsyncSession, on_ramp_id: UUID) -> Found | None:
    """One on-ramp with what its bank told us; or None."""
    found = await session.get(OnRamp, on_ramp_id)
    if found is None:
        return None
    notices = select(WebhookDelivery).where(WebhookDelivery.on_ramp_id == on_ramp_id)
    return _on_ramp(found) | {
        "next_enquiry_at": found.next_enquiry_at,
        "expires_at": found.expires_at,
        "cancel_requested_at": found.cancel_requested_at,
        "is_contradicted": found.is_contradicted,
        "trace_id": spans.trace_of(found.traceparent),
        "notices": [_delivery(each) for each in await _newest(session, notices, WebhookDelivery.id)],
    }


async def transfer(session: AsyncSession, transfer_id: UUID) -> Found | None:
    """One movement with both sides and what it belongs to; or None."""
    found = await session.get(Transfer, transfer_id)
    if found is None:
        return None
    entries = select(Entry).where(
        Entry.transfer_id == transfer_id, Entry.account_id.in_([found.debit_account_id, found.credit_account_id])
    )
    payout = select(Withdrawal.id).where(
        or_(Withdrawal.transfer_id == transfer_id, Withdrawal.reversal_transfer_id == transfer_id)
    )
    reversals = select(Transfer.id).where(Transfer.reverses == transfer_id).order_by(Transfer.id).limit(MAX_LISTED)
    reversed_total = await session.get(ReversedTotal, transfer_id)
    here = {each.direction: each for each in await session.scalars(entries)}
    (shown,) = await _transfers(session, [found])
    return shown | {
        "initiated_by": found.initiated_by,
        "reverses": found.reverses,
        "reversed_by": list(await session.scalars(reversals)),
        "reversed": 0 if reversed_total is None else reversed_total.reversed,
        "withdrawal_id": await session.scalar(payout),
        "on_ramp_id": await session.scalar(select(OnRamp.id).where(OnRamp.transfer_id == transfer_id)),
        "operators": await _actions(session, transfer_id),
        "entries": [
            {
                "account_id": each.account_id,
                "seq": each.seq,
                "direction": each.direction,
                "balance_after": each.balance_after,
            }
            for each in here.values()
        ],
        "archived_entries": [
            {"account_id": opening.account_id, "direction": direction, "last_entry_at": opening.last_entry_at}
            for direction, account_id in (("DEBIT", found.debit_account_id), ("CREDIT", found.credit_account_id))
            if direction not in here and (opening := await session.get(OpeningBalance, account_id)) is not None
        ],
    }


async def deliveries(
    session: AsyncSession, *, verdict: Verdict | None = None, bank: str | None = None, limit: int
) -> list[Found]:
    """The newest deliveries that fit."""
    statement = select(WebhookDelivery)
    if verdict is not None:
        statement = statement.where(WebhookDelivery.verdict == verdict)
    if bank is not None:
        statement = statement.where(WebhookDelivery.bank == bank)
    found = await session.scalars(statement.order_by(WebhookDelivery.id.desc()).limit(min(limit, MAX_LISTED)))
    return [_delivery(each) for each in found]


async def delivery(session: AsyncSession, delivery_id: UUID) -> Found | None:
    """One delivery with what operators did; or None."""
    found = await session.get(WebhookDelivery, delivery_id)
    return None if found is None else _delivery(found) | {"operators": await _actions(session, delivery_id)}


async def action(session: AsyncSession, action_id: UUID) -> Found | None:
    """What an operator did or proposed; or None."""
    found = await session.get(OperatorAction, action_id)
    return None if found is None else {"type": "operator_action", **_action(found)}


async def _account(session: AsyncSession, account_id: UUID) -> Found | None:
    found = await session.get(Account, account_id)
    if found is None:
        return None
    newest = select(Entry).where(Entry.account_id == account_id).order_by(Entry.seq.desc()).limit(NEWEST)
    opening = await session.get(OpeningBalance, account_id)
    entries = list(await session.scalars(newest))
    moved = select(Transfer).where(Transfer.id.in_([each.transfer_id for each in entries])).order_by(Transfer.id.desc())
    return {
        "type": "account",
        **_account_shown(found),
        "owner_id": found.owner_id,
        "archived_until": None if opening is None else opening.last_entry_at,
        "newest_transfers": await _transfers(session, list(await session.scalars(moved))),
    }


async def _owners(session: AsyncSession, owner_ids: Sequence[UUID]) -> list[Found]:
    columns = (Owner.id, Owner.kind, Owner.is_system, Owner.email, Owner.tokens_valid_after, Owner.created_at)
    found = await session.execute(select(*columns).where(Owner.id.in_(owner_ids)).order_by(Owner.id))
    return [await _owner(session, dict(row._mapping)) for row in found.all()]  # noqa: SLF001 - SQLAlchemy's own name


async def _owner(session: AsyncSession, row: Found) -> Found:
    owner_id = row.pop("id")
    accounts = select(Account).where(Account.owner_id == owner_id).order_by(Account.id).limit(MAX_LISTED)
    of_owner = list(await session.scalars(accounts))
    wallet = next(each for each in of_owner if each.handle is not None)
    holder = (await holders(session, [wallet.id]))[wallet.id]
    awaited = select(EmailConfirmation.address).where(EmailConfirmation.owner_id == owner_id)
    entries = select(Entry.transfer_id).where(Entry.account_id == wallet.id).order_by(Entry.seq.desc()).limit(NEWEST)
    moved = select(Transfer).where(Transfer.id.in_(list(await session.scalars(entries)))).order_by(Transfer.id.desc())
    topped_up = select(OnRamp).where(OnRamp.owner_id == owner_id)
    events = await find_events(session, owner_ids=[owner_id], limit=NEWEST)
    return {
        "type": "owner",
        "id": owner_id,
        "wallet_id": wallet.handle,
        "name": holder.owner_name,
        **row,
        "frozen_at": wallet.frozen_at,
        "address_to_confirm": await session.scalar(awaited),
        "accounts": [_account_shown(each) for each in of_owner],
        "newest_transfers": await _transfers(session, list(await session.scalars(moved))),
        "newest_withdrawals": await withdrawals(session, owner_id=owner_id, limit=NEWEST),
        "newest_on_ramps": [_on_ramp(each) for each in await _newest(session, topped_up, OnRamp.id)],
        "newest_events": [event_shown(each) for each in events],
        "operators": await _actions(session, owner_id),
    }


async def _of_text(session: AsyncSession, name: str, since: datetime | None) -> list[Found]:
    first = UUID(int=0) if since is None else smallest_id(since)
    paid = select(Withdrawal.id).where(Withdrawal.utr == name, Withdrawal.id >= first).limit(NEWEST)
    received = select(OnRamp.id).where(OnRamp.bank_reference == name, OnRamp.id >= first).limit(NEWEST)
    delivered = select(WebhookDelivery).where(WebhookDelivery.bank.in_(BANKS), WebhookDelivery.webhook_id == name)
    requested = select(AuditEvent).where(AuditEvent.request_id == name, AuditEvent.id >= first)
    events = await session.scalars(requested.order_by(AuditEvent.id).limit(MAX_LISTED))
    found = [
        *[await withdrawal(session, each) for each in (await session.scalars(paid)).all()],
        *[await on_ramp(session, each) for each in (await session.scalars(received)).all()],
        *[_delivery(each) for each in await session.scalars(delivered)],
        *[{"type": "event", **event_shown(each)} for each in events],
    ]
    return [each for each in found if each is not None]


async def _newest(session: AsyncSession, statement: Select[Any], key: Any) -> list[Any]:
    return list(await session.scalars(statement.order_by(key.desc()).limit(NEWEST)))


async def _transfers(session: AsyncSession, rows: Sequence[Transfer]) -> list[Found]:
    ends = await holders(session, {end for row in rows for end in (row.debit_account_id, row.credit_account_id)})
    return [
        {
            "type": "transfer",
            "id": row.id,
            "kind": row.kind,
            "amount": row.amount,
            "from": ends[row.debit_account_id].seen_by(None)._asdict() | {"account_id": row.debit_account_id},
            "to": ends[row.credit_account_id].seen_by(None)._asdict() | {"account_id": row.credit_account_id},
            "note": row.note,
            "created_at": row.created_at,
        }
        for row in rows
    ]


async def _actions(session: AsyncSession, subject_id: UUID) -> list[Found]:
    return [_action(each) for each in await actions.about(session, subject_id)]


def _withdrawal(row: Withdrawal) -> Found:
    return {
        "type": "withdrawal",
        "id": row.id,
        "status": row.status,
        "owner_id": row.owner_id,
        "bank": row.bank,
        "account_number": masked(row.account_number),
        "ifsc": row.ifsc,
        "account_holder": row.account_holder,
        "amount": row.amount,
        "utr": row.utr,
        "failure_reason": row.failure_reason,
        "attempts": row.attempts,
        "active_since": row.active_since,
        "created_at": row.created_at,
        "finished_at": row.finished_at,
    }


def _on_ramp(row: OnRamp) -> Found:
    return {
        "type": "on_ramp",
        "id": row.id,
        "status": row.status,
        "owner_id": row.owner_id,
        "bank": row.bank,
        "amount": row.amount,
        "bank_reference": row.bank_reference,
        "failure_reason": row.failure_reason,
        "is_late_success": row.is_late_success,
        "transfer_id": row.transfer_id,
        "created_at": row.created_at,
        "settled_at": row.settled_at,
    }


def _delivery(row: WebhookDelivery) -> Found:
    """Without the token, which names a person's session at the bank."""
    return {
        "type": "delivery",
        "id": row.id,
        "bank": row.bank,
        "webhook_id": row.webhook_id,
        "verdict": row.verdict,
        "on_ramp_id": row.on_ramp_id,
        "withdrawal_id": row.withdrawal_id,
        "received_at": row.received_at,
        "notice": {name: value for name, value in row.payload.items() if name != "token"},
    }


def _account_shown(row: Account) -> Found:
    return {
        "id": row.id,
        "kind": row.kind,
        "name": row.name,
        "wallet_id": row.handle,
        "balance": row.balance,
        "held": row.held,
        "frozen_at": row.frozen_at,
        "closed_at": row.closed_at,
    }


def _action(row: OperatorAction) -> Found:
    return {
        "id": row.id,
        "action": row.action,
        "state": actions.state_of(row),
        "reason": row.reason,
        "proposed_by": row.proposed_by,
        "proposed_at": row.proposed_at,
        "decided_by": row.decided_by,
        "decided_at": row.decided_at,
        "outcome": row.outcome,
    }


def event_shown(row: AuditEvent) -> Found:
    """An event of the audit trail."""
    return {
        "kind": row.kind,
        "what": row.what,
        "owner_id": row.owner_id,
        "operator": row.operator,
        "address": row.address,
        "request_id": row.request_id,
        "count": row.count,
        "first_at": row.first_at,
        "last_at": row.last_at,
        "facts": row.facts,
    }
