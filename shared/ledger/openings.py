"""Opening balances: where an account's entries begin, once older ones are archived in files. Paise; times are UTC."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from shared.db.reads import Source, fetch

_OPENING = "SELECT seq, balance, last_entry_at FROM opening_balances WHERE account_id = $1"


class Opening(NamedTuple):
    """The entries up to `seq` are archived: `balance` is what was on the account after it, at `until`."""

    seq: int
    balance: int
    until: datetime


async def opening_of(source: Source, account_id: UUID) -> Opening | None:
    """The account's opening balance; None while all of its entries are here."""
    rows = await fetch(source, _OPENING, account_id)
    return Opening(*rows[0]) if rows else None
