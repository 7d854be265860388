"""The JSON route of the limits: how much the caller may still send and withdraw today."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from shared import clock
from shared.http.dependencies import Caller, CurrentResources
from shared.ledger.accounts import wallet_of
from shared.ledger.errors import LimitName
from shared.ledger.limits import Limits
from shared.models import Account
from shared.money import MAX_MOVEMENT_PAISE
from shared.transfers.limits import sending_limits, sent_on
from shared.withdrawals.limits import withdrawal_limits, withdrawn_on

router = APIRouter(tags=["limits"])

_EXAMPLE: dict[str, Any] = {
    "per_movement": 100000000,
    "per_day": 200000000,
    "used": 50000000,
    "remaining": 150000000,
    "most": 100000000,
    "allowed": False,
    "binding": "transfer_per_movement",
}


class LimitsOut(BaseModel):
    """The limits on one kind of movement, in paise. `used` counts since the day began; `most` may move at once now.

    With an `amount`, `allowed` says whether it may move, and `binding` names the limit that forbids it, if one does.
    Without one, `allowed` is null, and `binding` names the limit that a growing amount exceeds first.
    """

    per_movement: int
    per_day: int
    used: int
    remaining: int
    most: int
    allowed: bool | None
    binding: LimitName | None

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})


class AllLimitsOut(BaseModel):
    """The limits on sending to others and withdrawing. `used` starts at 0 again at `resets_at`, midnight in India."""

    currency: str = Field(examples=["INR"])
    timezone: Literal["Asia/Kolkata"]
    resets_at: datetime
    amount: int | None
    transfer: LimitsOut
    withdrawal: LimitsOut


@router.get("/limits")
async def get_limits(
    caller: Caller,
    resources: CurrentResources,
    amount: Annotated[
        int | None, Query(ge=1, le=MAX_MOVEMENT_PAISE, description="Whether this many paise may move", examples=[50000])
    ] = None,
) -> AllLimitsOut:
    """The limits per movement and per day, how much of them is used, and which one binds.

    Transfers between the caller's accounts, refunds and money received do not count.
    """
    transfer = sending_limits(resources.settings.limits)
    withdrawal = withdrawal_limits(resources.settings.limits, clock.now())

    async def read(session: AsyncSession) -> tuple[Account, int]:
        wallet = await wallet_of(session, caller.owner_id)
        return wallet, await withdrawn_on(session, withdrawal.day, owner_id=caller.owner_id)

    wallet, withdrawn = await resources.read(read)
    return AllLimitsOut(
        currency=wallet.currency,
        timezone="Asia/Kolkata",
        resets_at=transfer.day.ends_at,
        amount=amount,
        transfer=_shown(transfer, sent_on(transfer.day, wallet), amount),
        withdrawal=_shown(withdrawal, withdrawn, amount),
    )


def _shown(limits: Limits, used: int, amount: int | None) -> LimitsOut:
    allowed = None if amount is None else amount <= limits.room(used)
    return LimitsOut(
        per_movement=limits.per_movement,
        per_day=limits.per_day,
        used=used,
        remaining=limits.left_today(used),
        most=limits.room(used),
        allowed=allowed,
        binding=None if allowed else limits.binding(used),
    )
