"""Lines of a statement as both apps list them: in words, signed, and grouped by the days of a time zone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import NamedTuple
from zoneinfo import ZoneInfo

from shared.calendar import INDIA
from shared.ledger.statement import Line
from shared.movement_words import KINDS, YOUR_WALLET, words_of
from shared.pages import formatting


class ListedLine(NamedTuple):
    """One line: `title` says what happened with whom, `name` is that party.

    `amount` and `refunded` are paise and never negative; `is_incoming` is the sign.
    """

    path: str
    name: str
    title: str
    note: str | None
    icon: str | None
    is_incoming: bool
    amount: int
    refunded: int
    balance_after: int
    at: datetime


@dataclass(frozen=True, slots=True)
class ListedDay:
    """The lines of one day, newest first."""

    title: str
    lines: Sequence[ListedLine]


def by_day(
    lines: Iterable[Line], *, path: str, zone: ZoneInfo = INDIA, own_wallet_id: str | None = None
) -> list[ListedDay]:
    """The lines, which come newest first, by their day in `zone`. `path` is that of the pages of single transfers.

    `own_wallet_id` is the reader's, for the lines of a pot.
    """
    listed = (_listed(line, path, own_wallet_id) for line in lines)
    days = [list(group) for _, group in groupby(listed, lambda each: each.at.astimezone(zone).date())]
    return [ListedDay(formatting.day(day[0].at, zone), day) for day in days]


def _listed(line: Line, path: str, own_wallet_id: str | None) -> ListedLine:
    other = line.counterparty
    is_incoming = line.direction == "CREDIT"
    # Only the reader's own pots have no wallet id.
    is_own = line.kind == "p2p" and other.wallet_id in (None, own_wallet_id)
    name = YOUR_WALLET if is_own and other.wallet_id is not None else other.name
    return ListedLine(
        path=f"{path}/{line.transfer_id}",
        name=other.name,
        title=words_of(line.kind, is_incoming=is_incoming, other=name, is_own=is_own),
        note=line.note,
        icon="purse" if is_own else KINDS[line.kind].icon,
        is_incoming=is_incoming,
        amount=line.amount,
        refunded=line.given_back or 0,
        balance_after=line.balance_after,
        at=line.created_at,
    )
