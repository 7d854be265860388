"""Lines of a statement as people read them: a title, a sentence, a sign, by day."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from shared.ledger.rules import TransferKind
from shared.ledger.statement import Line
from shared.pages import formatting

KIND_NAMES: dict[TransferKind, str] = {
    "p2p": "Friends and pots",
    "payment": "Shops",
    "onramp": "Money added",
    "payout": "Withdrawals",
    "payout_reversal": "Withdrawals sent back",
    "refund": "Refunds",
    "funding": "From Batua",
    "adjustment": "Corrections",
}
"""What a filter calls each kind."""
_WORDS: dict[TransferKind, tuple[str, str]] = {
    "p2p": ("Sent", "Received"),
    "payment": ("Paid", "Paid to you"),
    "onramp": ("Taken back", "Money added"),
    "payout": ("Withdrawn", "Withdrawn"),
    "payout_reversal": ("Sent back", "Sent back by the bank"),
    "refund": ("Refunded", "Refund"),
    "funding": ("Taken back", "From Batua"),
    "adjustment": ("Correction", "Correction"),
}
_ICONS: dict[TransferKind, str] = {"onramp": "bank", "payout": "bank", "payout_reversal": "bank"}
MAX_FREQUENT = 5


@dataclass(frozen=True, slots=True)
class Movement:
    """One line. `amount` in paise, never negative: `is_incoming` says which way it went."""

    href: str
    name: str
    label: str
    note: str | None
    icon: str | None
    """None where the name's initials say more."""
    is_incoming: bool
    amount: int
    balance_after: int
    at: datetime


@dataclass(frozen=True, slots=True)
class DayOfMovements:
    """What happened on one day, in India."""

    title: str
    movements: Sequence[Movement]


def movement_of(line: Line) -> Movement:
    """The line, put in words."""
    is_incoming = line.direction == "CREDIT"
    is_internal = line.kind == "p2p" and line.counterparty.wallet_id is None
    label = "Moved between your accounts" if is_internal else _WORDS[line.kind][is_incoming]
    return Movement(
        href=f"/transfers/{line.transfer_id}",
        name=line.counterparty.name,
        label=label,
        note=line.note,
        icon="purse" if is_internal else _ICONS.get(line.kind),
        is_incoming=is_incoming,
        amount=line.amount,
        balance_after=line.balance_after,
        at=line.created_at,
    )


def by_day(lines: Iterable[Line]) -> list[DayOfMovements]:
    """The lines, which come newest first, under the day on which each happened."""
    movements = map(movement_of, lines)
    return [
        DayOfMovements(title, list(group)) for title, group in groupby(movements, lambda each: formatting.day(each.at))
    ]


@dataclass(frozen=True, slots=True)
class Face:
    """Somebody to send money to with one tap."""

    name: str
    wallet_id: str


def faces(lines: Iterable[Line]) -> list[Face]:
    """The people these lines were exchanged with, the latest first, each once."""
    found: dict[str, Face] = {}
    for line in lines:
        wallet_id = line.counterparty.wallet_id
        if line.kind == "p2p" and wallet_id is not None:
            found.setdefault(wallet_id, Face(line.counterparty.name, wallet_id))
    return list(found.values())[:MAX_FREQUENT]
