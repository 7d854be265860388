"""Receipts as JSON: what JSON routes answer, and what is stored beside an idempotency key. Amounts in paise."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from shared.errors import BatuaError
from shared.http.problems import SCHEMA_REF, problem_body
from shared.ledger.parties import Party
from shared.ledger.rules import TransferKind
from shared.transfers.errors import RecipientNotFound
from shared.transfers.views import BulkOutcome, Receipt, RefundReceipt

ITEM_SENT = 201
"""The `status` of an item of a bulk request whose money was sent."""


class PartyOut(BaseModel):
    """The other party; `wallet_id` is null for a bank, the platform, and the reader's own pot."""

    wallet_id: str | None
    name: str

    model_config = ConfigDict(json_schema_extra={"examples": [{"wallet_id": "bob@batua", "name": "Bob Sen"}]})

    @classmethod
    def of(cls, party: Party) -> PartyOut:
        """The party as JSON."""
        return cls(wallet_id=party.wallet_id, name=party.name)


class TransferOut(BaseModel):
    """A receipt. Amounts in paise; `balance_after` is the reader's own."""

    id: UUID
    kind: TransferKind
    amount: int
    currency: str
    sender: PartyOut = Field(alias="from")
    recipient: PartyOut = Field(alias="to")
    note: str | None
    balance_after: int | None
    created_at: datetime

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "0199f0c2-6f2c-7a55-9c07-2f6a4f6d1f10",
                    "kind": "p2p",
                    "amount": 50000,
                    "currency": "INR",
                    "from": {"wallet_id": "alice@batua", "name": "Alice Rao"},
                    "to": {"wallet_id": "bob@batua", "name": "Bob Sen"},
                    "note": "rent",
                    "balance_after": 150000,
                    "created_at": "2026-11-20T09:30:00.123456Z",
                }
            ]
        }
    )

    @classmethod
    def of(cls, receipt: Receipt) -> TransferOut:
        """The receipt as JSON."""
        return cls.model_validate(_members(receipt))


class RefundOut(TransferOut):
    """The receipt of a refund. `refunded` of the payment it `reverses` went back by now; `refundable` is left."""

    reverses: UUID
    refunded: int
    refundable: int

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "0199f0c2-6f2c-7a55-9c07-2f6a4f6d1f10",
                    "kind": "refund",
                    "amount": 5000,
                    "currency": "INR",
                    "from": {"wallet_id": "chaipoint@batua", "name": "Chai Point"},
                    "to": {"wallet_id": "alice@batua", "name": "Alice Rao"},
                    "note": "one samosa too many",
                    "balance_after": 145000,
                    "created_at": "2026-11-20T09:30:00.123456Z",
                    "reverses": "0199f0c2-6f2c-7a55-9c07-2f6a4f6d1f0f",
                    "refunded": 5000,
                    "refundable": 15000,
                }
            ]
        }
    )


class BulkResult(BaseModel):
    """The result of one item: `status` 201 with its `transfer`, or another status with the `problem`."""

    index: int
    status: int
    transfer: TransferOut | None = None
    problem: Annotated[dict[str, Any], Field(json_schema_extra={"$ref": SCHEMA_REF})] | None = None

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"index": 1, "status": 404, "problem": problem_body(RecipientNotFound())}]}
    )


class BulkOut(BaseModel):
    """One result for each item, in order."""

    results: list[BulkResult]


def transfer_body(receipt: Receipt) -> dict[str, Any]:
    """A `TransferOut`, written by hand: a model costs more than posting the transfer."""
    return {
        "id": str(receipt.id),
        "kind": receipt.kind,
        "amount": receipt.amount,
        "currency": receipt.currency,
        "from": {"wallet_id": receipt.sender.wallet_id, "name": receipt.sender.name},
        "to": {"wallet_id": receipt.recipient.wallet_id, "name": receipt.recipient.name},
        "note": receipt.note,
        "balance_after": receipt.balance_after,
        "created_at": receipt.created_at.isoformat().replace("+00:00", "Z"),
    }


def refund_body(refund: RefundReceipt) -> dict[str, Any]:
    """A `RefundOut`."""
    totals = {"reverses": refund.reverses, "refunded": refund.refunded, "refundable": refund.refundable}
    return RefundOut.model_validate(_members(refund.receipt) | totals).model_dump(mode="json", by_alias=True)


def bulk_body(outcomes: Sequence[BulkOutcome]) -> dict[str, Any]:
    """A `BulkOut`, in which each item has either a transfer or a problem."""
    return {"results": [_result(index, outcome) for index, outcome in enumerate(outcomes)]}


def _result(index: int, outcome: BulkOutcome) -> dict[str, Any]:
    if isinstance(outcome, BatuaError):
        problem = problem_body(outcome)
        return {"index": index, "status": problem["status"], "problem": problem}
    return {"index": index, "status": ITEM_SENT, "transfer": transfer_body(outcome)}


def _members(receipt: Receipt) -> dict[str, Any]:
    return {
        "id": receipt.id,
        "kind": receipt.kind,
        "amount": receipt.amount,
        "currency": receipt.currency,
        "from": PartyOut.of(receipt.sender),
        "to": PartyOut.of(receipt.recipient),
        "note": receipt.note,
        "balance_after": receipt.balance_after,
        "created_at": receipt.created_at,
    }
