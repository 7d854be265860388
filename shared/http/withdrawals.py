"""Withdrawals as JSON: what JSON routes answer, what is stored beside a key, and what events show. Amounts in paise."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Request
from pydantic import BaseModel, ConfigDict

from shared.banks.table import BANKS
from shared.clock import Timespec
from shared.http.responses import time_text
from shared.http.timeline_words import words_of
from shared.models.withdrawal import WithdrawalStatus
from shared.withdrawals import timeline
from shared.withdrawals.events import EventKind
from shared.withdrawals.views import RecentWithdrawal, TimelineEvent, WaitingFor, WithdrawalDetail, WithdrawalView

WorkerHint = Callable[[UUID], Awaitable[None]]
"""Hints to the worker that this owner has a withdrawal to carry out. Best effort: it raises nothing."""

_EXAMPLE: dict[str, Any] = {
    "id": "0199f0c2-6f2c-7a55-9c07-2f6a4f6d1f10",
    "status": "queued",
    "bank": "hdfc",
    "account_number": "XXXXXX1234",
    "ifsc": "HDFC0000001",
    "account_holder": "Alice Rao",
    "amount": 10000,
    "currency": "INR",
    "position": 1,
    "waiting_for": "worker",
    "next_check_at": None,
    "utr": None,
    "failure_reason": None,
    "created_at": "2026-11-20T09:30:00.123456Z",
    "finished_at": None,
    "trace_id": None,
}
_EVENT_EXAMPLE: dict[str, Any] = {
    "at": "2026-11-20T09:30:00.123456Z",
    "status": "queued",
    "kind": "queued",
    "message": "In the queue",
    "facts": {},
}


class WithdrawalOut(BaseModel):
    """Money on its way out. Amount in paise, the account number masked; `position` is its place in one's queue."""

    id: UUID
    status: WithdrawalStatus
    bank: str
    account_number: str
    ifsc: str
    account_holder: str
    amount: int
    currency: str
    position: int | None
    waiting_for: WaitingFor | None
    next_check_at: datetime | None
    utr: str | None
    failure_reason: str | None
    created_at: datetime
    finished_at: datetime | None
    trace_id: str | None

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})


class TimelineEventOut(BaseModel):
    """One event of the timeline. `kind` is stable, the words of `message` are not."""

    at: datetime
    status: WithdrawalStatus
    kind: EventKind
    message: str
    facts: dict[str, Any]

    model_config = ConfigDict(json_schema_extra={"examples": [_EVENT_EXAMPLE]})


class WithdrawalWithTimelineOut(WithdrawalOut):
    """A withdrawal and everything that happened to it, oldest first."""

    timeline: list[TimelineEventOut]

    model_config = ConfigDict(json_schema_extra={"examples": [{**_EXAMPLE, "timeline": [_EVENT_EXAMPLE]}]})


def shown_withdrawal(withdrawal: WithdrawalView) -> dict[str, Any]:
    """A `WithdrawalOut` as the model writes it: a time without microseconds has none."""
    return withdrawal_body(withdrawal, "auto")


def shown_detail(detail: WithdrawalDetail) -> dict[str, Any]:
    """A `WithdrawalWithTimelineOut` as the model writes it."""
    events = [event_body(event, detail.withdrawal.bank, "auto") for event in detail.timeline]
    return shown_withdrawal(detail.withdrawal) | {"timeline": events}


def withdrawal_body(withdrawal: WithdrawalView, timespec: Timespec = "microseconds") -> dict[str, Any]:
    """A `WithdrawalOut`. Times are written as `rfc3339` does."""
    return {
        "id": str(withdrawal.id),
        "status": withdrawal.status.value,
        "bank": withdrawal.bank,
        "account_number": withdrawal.account_number,
        "ifsc": withdrawal.ifsc,
        "account_holder": withdrawal.account_holder,
        "amount": withdrawal.amount,
        "currency": withdrawal.currency,
        "position": withdrawal.position,
        "waiting_for": None if withdrawal.waiting_for is None else withdrawal.waiting_for.value,
        "next_check_at": time_text(withdrawal.next_check_at, timespec),
        "utr": withdrawal.utr,
        "failure_reason": withdrawal.failure_reason,
        "created_at": time_text(withdrawal.created_at, timespec),
        "finished_at": time_text(withdrawal.finished_at, timespec),
        "trace_id": withdrawal.trace_id,
    }


def recent_withdrawal_body(recent: RecentWithdrawal) -> dict[str, Any]:
    """A `WithdrawalOut` with the `latest` event of its timeline."""
    latest = None if recent.latest is None else event_body(recent.latest, recent.withdrawal.bank)
    return {**withdrawal_body(recent.withdrawal), "latest": latest}


def event_body(event: TimelineEvent, bank: str, timespec: Timespec = "microseconds") -> dict[str, Any]:
    """A `TimelineEventOut`. `bank` is the code of the withdrawal's bank."""
    return {
        "at": time_text(event.at, timespec),
        "status": event.status.value,
        "kind": event.kind.value,
        "message": words_of(event.kind, bank=BANKS[bank].name),
        "facts": timeline.as_json(event.facts),
    }


async def current_worker_hint(request: Request) -> WorkerHint:
    """What the lifespan opened."""
    hint: WorkerHint = request.app.state.hint_withdrawal
    return hint


CurrentWorkerHint = Annotated[WorkerHint, Depends(current_worker_hint)]
