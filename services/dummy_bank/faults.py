"""The faults that the simulated banks can be given. docs/bank-wire-formats.md says what each one does."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Rate = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Milliseconds = Annotated[int, Field(ge=0, le=60_000)]


class Faults(BaseModel):
    """How one simulated bank misbehaves. A set is always complete: a fault that is left out is off."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    latency_ms: Milliseconds = 0
    latency_tail_ms: Milliseconds = 0
    down: bool = False
    error_rate: Rate = 0
    timeout_after_rate: Rate = 0
    refuse_rate: Rate = 0
    async_rate: Rate = 0
    async_delay_ms: Milliseconds = 0
    reversal_rate: Rate = 0
    idempotency: bool = True
    webhook_duplicate_rate: Rate = 0
    webhook_delay_ms: Milliseconds = 0
    webhook_reorder_rate: Rate = 0
    webhook_drop_rate: Rate = 0
    webhook_wrong_amount_rate: Rate = 0
    webhook_bad_signature_rate: Rate = 0
    hold_at: Literal["before_work", "after_work"] | None = None
