"""How much one owner may do, as the settings say it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class OwnerQuotas(BaseModel):
    """How much one owner may do, so that one cannot fill what all use.

    What is allowed in a day, a minute or ten seconds may be done at once; then one more whenever its part of that
    time has passed.
    """

    model_config = ConfigDict(frozen=True)

    keys_per_day: int = Field(default=20_000, ge=1)
    """New idempotency keys in a day. Each is kept for a week with its answer."""
    bulk_per_minute: int = Field(default=30, ge=1)
    """Bulk requests in a minute. Four that are refused as a whole count as one."""
    bulk_per_day: int = Field(default=1000, ge=1)
    """Bulk requests in a day. The answer of each may be as large as those of a thousand transfers."""
    people_searches_per_minute: int = Field(default=60, ge=1)
    """Searches for people in a minute. The page asks while one types, several times for one friend."""
    people_searches_per_day: int = Field(default=1000, ge=1)
    """Searches for people in a day."""
    small_transfers_per_day: int = Field(default=2000, ge=1)
    """Very small transfers to others in a day. Each is a line in the recipient's statement and in a mail."""
    small_transfer_below_paise: int = Field(default=100, ge=0)
    """A transfer of less is a very small one."""
    withdrawals_per_ten_seconds: int = Field(default=5, ge=1)
    """Withdrawals asked for in ten seconds. Each is work for the worker, the bank and the owner's open pages. Four that
    are refused count as one."""
    open_pots: int = Field(default=20, ge=1, le=200)
    """Pots that are open at once."""
    unfinished_withdrawals: int = Field(default=100, ge=1)
    """Withdrawals that are not finished."""
