"""`GET /wallet`: balance, held and available."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict

from shared.http.dependencies import SignedInCaller, signed_in
from shared.http.shortcuts import ShortcutRoute, announces_body, shortcut
from shared.ledger.accounts import Wallet

router = APIRouter(tags=["wallet"], route_class=ShortcutRoute)


class WalletOut(BaseModel):
    """Amounts in paise; `available` is `balance` less what is held. Nothing leaves while `is_frozen`."""

    wallet_id: str
    account_id: UUID
    balance: int
    held: int
    available: int
    currency: str
    is_frozen: bool

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
                    "is_frozen": False,
                }
            ]
        }
    )

    @classmethod
    def of(cls, wallet: Wallet) -> WalletOut:
        """The wallet as JSON."""
        return cls(
            wallet_id=wallet.wallet_id,
            account_id=wallet.account_id,
            balance=wallet.balance,
            held=wallet.held,
            available=wallet.available,
            currency=wallet.currency,
            is_frozen=wallet.is_frozen,
        )


async def _well_formed(request: Request) -> dict[str, Any] | None:
    """The parameter of `get_wallet`, when there is no body."""
    return None if announces_body(request) else {"caller": await signed_in(request)}


@router.get("/wallet")
@shortcut(_well_formed)
async def get_wallet(caller: SignedInCaller) -> WalletOut:
    """The caller's wallet."""
    return WalletOut.of(caller.wallet)
