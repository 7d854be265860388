"""`GET /wallet`: what one has."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from shared.http.dependencies import Caller, ReadSession
from shared.ledger.accounts import wallet_of
from shared.models import Account

router = APIRouter(tags=["wallet"])


class WalletOut(BaseModel):
    """Amounts in paise; `available` is `balance` less what is held for withdrawals."""

    wallet_id: str
    account_id: UUID
    balance: int
    held: int
    available: int
    currency: str

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "wallet_id": "alice@batua",
                    "account_id": "0199f0c2-6f2c-7a55-9c07-2f6a4f6d1f10",
                    "balance": 150000,
                    "held": 10000,
                    "available": 140000,
                    "currency": "INR",
                }
            ]
        }
    )


@router.get("/wallet")
async def get_wallet(caller: Caller, session: ReadSession) -> WalletOut:
    """The caller's wallet."""
    return WalletOut.model_validate(wallet_body(await wallet_of(session, caller.owner_id)))


def wallet_body(account: Account) -> dict[str, Any]:
    """A wallet as JSON, as it is answered, and told of in events."""
    return {
        "wallet_id": account.handle,
        "account_id": str(account.id),
        "balance": account.balance,
        "held": account.held,
        "available": account.available,
        "currency": account.currency,
    }
