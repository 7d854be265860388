"""How each bank misbehaves now: kept in the file, drawn from a seed so that a run can be repeated."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.dummy_bank.database import Database, next_number

_STREAMS = ("payout", "enquiry", "session", "notice")
_TAIL_POWER = 3
"""How rare the slowest answers are: a uniform draw to this power, so that few come near the full tail."""


Rate = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Milliseconds = Annotated[int, Field(ge=0, le=60_000)]


class Faults(BaseModel):
    """How the simulated bank misbehaves. A whole set: what is left out is at its default, off."""

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


class FaultBoard:
    """The chosen faults per bank. Setting them starts every stream of draws anew from the seed."""

    def __init__(self, database: Database, banks: Iterable[str]) -> None:
        self._database = database
        self._chosen = {bank: Faults() for bank in banks}
        for row in database.rows("SELECT bank, chosen FROM faults"):
            if row["bank"] in self._chosen:
                self._chosen[row["bank"]] = Faults.model_validate_json(row["chosen"])

    def of(self, bank: str) -> Faults:
        """What is wrong with `bank` at this moment."""
        return self._chosen[bank]

    def choose(self, bank: str, faults: Faults) -> None:
        """Replace the whole set and begin again at the first draw."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO faults (bank, chosen) VALUES (?, ?)"
                " ON CONFLICT (bank) DO UPDATE SET chosen = excluded.chosen",
                (bank, faults.model_dump_json()),
            )
            for stream in _STREAMS:
                connection.execute("DELETE FROM counters WHERE bank = ? AND name = ?", (bank, stream))
        self._chosen[bank] = faults


class Dice:
    """The draws for one call. The n-th call of a stream gets the same draws for the same seed, whatever
    the rates are and however calls overlap; each draw has its place, so call them in a fixed order."""

    def __init__(self, connection: sqlite3.Connection, bank: str, stream: str, faults: Faults) -> None:
        number = next_number(connection, bank, stream)
        # Not for secrets: the point is that it repeats.
        self._random = random.Random(f"{bank}:{faults.seed}:{stream}:{number}")  # noqa: S311

    def falls(self, rate: float) -> bool:
        """True in `rate` of all cases."""
        return self._random.random() < rate

    def latency_seconds(self, faults: Faults) -> float:
        """The fixed part, and a share of the tail that is mostly small."""
        tail = faults.latency_tail_ms * self._random.random() ** _TAIL_POWER
        return (faults.latency_ms + tail) / 1000

    def pick(self, options: tuple[str, ...]) -> str:
        """One of `options`."""
        return options[int(self._random.random() * len(options))]
