"""Receipts of movements, as both apps answer them."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from shared.ledger.rules import TransferKind


class PartyOut(BaseModel):
    """Somebody at the other end; `wallet_id` is null for a bank, the platform, or a pot of one's own."""

    wallet_id: str | None
    name: str

    model_config = ConfigDict(json_schema_extra={"examples": [{"wallet_id": "bob@batua", "name": "Bob Sen"}]})


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
