"""Random draws that decide which faults strike. They come from a seed, so that a run can be repeated."""

from __future__ import annotations

import random
import sqlite3
from typing import Literal

from services.dummy_bank.database import next_number
from services.dummy_bank.faults import Faults

Stream = Literal["payout", "enquiry", "session", "notice"]
STREAMS: tuple[Stream, ...] = ("payout", "enquiry", "session", "notice")
_TAIL_POWER = 3
"""How rare the slowest answers are: a uniform draw to this power, so that few come near the full tail."""


class Draws:
    """The draws for one call or notice.

    For the same seed the n-th call of a stream gets the same draws, whatever the rates are and however calls overlap.
    Each draw has its place in the sequence, so the caller makes them in a fixed order.
    """

    def __init__(self, connection: sqlite3.Connection, bank: str, stream: Stream, faults: Faults) -> None:
        number = next_number(connection, bank, stream)
        # Not for secrets: the point is that it repeats.
        self._random = random.Random(f"{bank}:{faults.seed}:{stream}:{number}")  # noqa: S311

    def is_hit(self, rate: float) -> bool:
        """True in `rate` of all cases."""
        return self._random.random() < rate

    def latency_seconds(self, faults: Faults) -> float:
        """The fixed part, and a share of the tail that is mostly small."""
        tail = faults.latency_tail_ms * self._random.random() ** _TAIL_POWER
        return (faults.latency_ms + tail) / 1000

    def pick(self, options: tuple[str, ...]) -> str:
        """One of `options`."""
        return options[int(self._random.random() * len(options))]
