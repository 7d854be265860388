"""Payments: everything that came and went at a shop, filtered, searched, page by page, and as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request, Response

from shared.auth import profiles
from shared.http.dependencies import Caller, ReadSession
from shared.http.pagination import PageRequest
from shared.ledger import statement
from shared.ledger.accounts import wallet_of
from shared.ledger.rules import TransferKind
from shared.ledger.statement import Line
from shared.pages import formatting
from shared.pages.forms import Form
from shared.pages.rendering import render
from shared.pages.statement_filters import StatementFilters
from shared.transfers.queries import get_receipt, refunded_amounts
from shared.transfers.statement_lines import StatementLine, with_refunds

router = APIRouter()

PER_PAGE = 25
PATH = "/transactions"
KIND_NAMES: dict[TransferKind, str] = {
    "payment": "Payments",
    "refund": "Refunds",
    "payout": "Withdrawals",
    "payout_reversal": "Withdrawals sent back",
    "p2p": "Transfers",
    "onramp": "Money added",
    "funding": "From Batua",
    "adjustment": "Corrections",
}
"""What a filter calls each kind; those that a shop meets most come first."""
_TITLES: dict[TransferKind, tuple[str, str]] = {
    "payment": ("Paid", "Payment"),
    "refund": ("Refund", "Refund to you"),
    "payout": ("Withdrawn to your bank", "Withdrawal"),
    "payout_reversal": ("Withdrawal", "Sent back by the bank"),
    "p2p": ("Sent", "Received"),
    "onramp": ("Taken back", "Money added"),
    "funding": ("Taken back", "From Batua"),
    "adjustment": ("Correction", "Correction"),
}
_ICONS: dict[TransferKind, str] = {"payout": "bank", "payout_reversal": "bank", "onramp": "bank", "refund": "undo"}


@dataclass(frozen=True, slots=True)
class Movement:
    """One line of a shop's statement in words."""

    line: Line
    title: str
    icon: str | None
    """None where the payer's initials say more."""
    refunded: int
    """Paise of it that were given back."""


@dataclass(frozen=True, slots=True)
class DayOfMovements:
    """What happened on one day at the shop."""

    title: str
    movements: Sequence[Movement]


@router.get(PATH)
async def show_payments(request: Request, caller: Caller, session: ReadSession) -> Response:
    """Movements, newest first. A filter that cannot be read is said beside its field, and nothing is filtered."""
    form, asked = Form(dict(request.query_params)), StatementFilters()
    before_seq: int | None = None
    with form.catching():
        asked = form.read(StatementFilters)
        before_seq = PageRequest(PER_PAGE, asked.cursor).after_number()
    zone = ZoneInfo((await profiles.merchant_profile(session, caller.owner_id)).timezone)
    account = await wallet_of(session, caller.owner_id)
    found = await statement.read_page(
        session, account.id, limit=PER_PAGE, before_seq=before_seq, wanted=asked.wanted(zone)
    )
    movements = [movement_of(line) for line in await with_refunds(session, found.lines)]
    return render(
        request,
        "payments.html",
        status=form.status,
        form=form,
        kinds=KIND_NAMES,
        zone=zone,
        days=_by_day(movements, zone),
        is_filtered=bool(asked.given),
        is_continued=before_seq is not None,
        csv_path=asked.csv_path(zone),
        first_path=asked.first_path(PATH),
        next_path=None if found.next_before is None else asked.next_path(PATH, found.next_before),
    )


@router.get(f"{PATH}/{{transaction_id}}")
async def show_payment(request: Request, caller: Caller, session: ReadSession, transaction_id: UUID) -> Response:
    """One movement, and what was given back of it. Nobody else learns that there is such a one."""
    receipt = await get_receipt(session, reader=caller.owner_id, transfer_id=transaction_id)
    shop = await profiles.merchant_profile(session, caller.owner_id)
    refunded = (await refunded_amounts(session, [transaction_id])).get(transaction_id, 0)
    is_incoming = receipt.recipient.wallet_id == shop.wallet_id
    return render(
        request,
        "payment.html",
        receipt=receipt,
        zone=ZoneInfo(shop.timezone),
        is_incoming=is_incoming,
        other=receipt.sender if is_incoming else receipt.recipient,
        title=_TITLES[receipt.kind][is_incoming],
        refunded=refunded,
        refundable=receipt.amount - refunded if is_incoming and receipt.kind == "payment" else 0,
        is_refund_done=refunded > 0 and "refunded" in request.query_params,
    )


def movement_of(shown: StatementLine) -> Movement:
    """The line, put in words."""
    line = shown.line
    title = _TITLES[line.kind][line.direction == "CREDIT"]
    return Movement(line, title, _ICONS.get(line.kind), shown.refunded)


def _by_day(movements: Sequence[Movement], zone: ZoneInfo) -> list[DayOfMovements]:
    """The movements, which come newest first, under the day on which each happened."""
    days = groupby(movements, lambda each: formatting.day(each.line.created_at, zone))
    return [DayOfMovements(title, list(group)) for title, group in days]
