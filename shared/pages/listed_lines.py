"""Lines of a statement as both apps list them: named by kind, signed, and grouped by the days of a time zone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from zoneinfo import ZoneInfo

from shared.calendar import INDIA
from shared.ledger.rules import TransferKind
from shared.pages import formatting
from shared.transfers.statement_lines import StatementLine


@dataclass(frozen=True, slots=True)
class KindNames:
    """What pages call a kind of transfer: all of them in the filter, one that was sent, one that was received."""

    all: str
    sent: str
    received: str
    icon: str | None = None
    """None where the initials of the counterparty say more."""


KINDS: Mapping[TransferKind, KindNames] = {
    "payment": KindNames("Payments", "Paid", "Payment"),
    "p2p": KindNames("Transfers", "Sent", "Received"),
    "refund": KindNames("Refunds", "Refund", "Refund", "undo"),
    "onramp": KindNames("Money added", "Taken back by the bank", "Money added", "bank"),
    "payout": KindNames("Withdrawals", "Withdrawn", "Withdrawal", "bank"),
    "payout_reversal": KindNames("Reversed withdrawals", "Reversal", "Reversed by the bank", "bank"),
    "funding": KindNames("From Batua", "To Batua", "From Batua"),
    "adjustment": KindNames("Corrections", "Correction", "Correction"),
}
"""In the order of the filter."""
BETWEEN_OWN_ACCOUNTS = "Moved between your accounts"


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedLine:
    """One line. `amount` and `refunded` are paise and never negative; `is_incoming` is the sign."""

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

    @property
    def words(self) -> str:
        """What happened, and the note."""
        return f"{self.title} · {self.note}" if self.note else self.title


@dataclass(frozen=True, slots=True)
class ListedDay:
    """The lines of one day, newest first."""

    title: str
    lines: Sequence[ListedLine]


def title_of(kind: TransferKind, *, is_incoming: bool) -> str:
    """What happened, as the owner of the account reads it."""
    return KINDS[kind].received if is_incoming else KINDS[kind].sent


def by_day(lines: Iterable[StatementLine], *, path: str, zone: ZoneInfo = INDIA) -> list[ListedDay]:
    """The lines, which come newest first, by their day in `zone`. `path` is that of the pages of single transfers."""
    listed = (_listed(line, path) for line in lines)
    return [
        ListedDay(title, list(group)) for title, group in groupby(listed, lambda each: formatting.day(each.at, zone))
    ]


def _listed(shown: StatementLine, path: str) -> ListedLine:
    line = shown.line
    is_incoming = line.direction == "CREDIT"
    is_between_own_accounts = line.kind == "p2p" and line.counterparty.wallet_id is None
    return ListedLine(
        path=f"{path}/{line.transfer_id}",
        name=line.counterparty.name,
        title=BETWEEN_OWN_ACCOUNTS if is_between_own_accounts else title_of(line.kind, is_incoming=is_incoming),
        note=line.note,
        icon="purse" if is_between_own_accounts else KINDS[line.kind].icon,
        is_incoming=is_incoming,
        amount=line.amount,
        refunded=shown.refunded,
        balance_after=line.balance_after,
        at=line.created_at,
    )
