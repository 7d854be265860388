"""On-ramps and the notices about them, as a bank would send them."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.banks.notices import Notice, PaymentNotice
from shared.banks.signatures import sign
from shared.banks.table import BANKS
from shared.ids import new_id, new_token
from shared.models import Account, OnRamp
from shared.models.on_ramp import OnRampStatus


def new_webhook_secret() -> str:
    """A signing secret as the banks give them out."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


SECRETS = {code: new_webhook_secret() for code in BANKS}
HDFC_SECRET = SECRETS["hdfc"]


def webhook_values(database_url: str, **changes: Any) -> dict[str, Any]:
    """The webhook's settings: it accepts every bank, signed with SECRETS, from the loopback."""
    return {
        "database_url": database_url,
        **{f"bank_{code}_webhook_secrets": secret for code, secret in SECRETS.items()},
        **{f"bank_{code}_webhook_networks": "127.0.0.0/8" for code in BANKS},
        **changes,
    }


async def create_on_ramp(
    session: AsyncSession,
    wallet: Account,
    *,
    amount: int = 20000,
    bank: str = "hdfc",
    is_opened: bool = True,
    created_at: datetime | None = None,
    next_enquiry_at: datetime | None = None,
) -> OnRamp:
    """A pending on-ramp to `wallet`, with a token at the bank when `is_opened`."""
    assert wallet.owner_id is not None
    on_ramp = OnRamp(
        id=new_id(),
        owner_id=wallet.owner_id,
        account_id=wallet.id,
        bank=bank,
        amount=amount,
        currency="INR",
        status=OnRampStatus.PENDING,
        idempotency_key=new_token(),
        token=new_token() if is_opened else None,
        redirect_url="https://bank.example/session" if is_opened else None,
        is_late_success=False,
        is_contradicted=False,
        next_enquiry_at=next_enquiry_at or clock.now(),
        created_at=created_at or clock.now(),
    )
    session.add(on_ramp)
    await session.flush()
    return on_ramp


def payment_notice(on_ramp: OnRamp, event: Literal["success", "failure"] = "success", **changes: Any) -> PaymentNotice:
    """What the bank says about `on_ramp`, truthfully but for `changes`."""
    assert on_ramp.token is not None
    facts = {
        "bank": on_ramp.bank,
        "event": event,
        "token": on_ramp.token,
        "user_id": str(on_ramp.owner_id),
        "amount": on_ramp.amount,
        "bank_reference": "UTR1",
    }
    return PaymentNotice(**{**facts, **changes})


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """One delivery, ready to be posted, as often as one likes."""

    path: str
    headers: dict[str, str]
    body: bytes


def signed(
    notice: Notice, *, webhook_id: str | None = None, secret: str | None = None, at: datetime | None = None
) -> SignedRequest:
    """Write and sign `notice` as its bank does."""
    body = BANKS[notice.bank].encode(notice)
    headers = sign(secret or SECRETS[notice.bank], webhook_id or f"msg_{new_token()}", at or clock.now(), body)
    return SignedRequest(f"/webhooks/{notice.bank}", {**headers, "content-type": "application/json"}, body)
