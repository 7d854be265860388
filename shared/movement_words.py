"""Movements of money in words: one table for mail, pages and downloads, so that all of them say the same.

A movement is told from the side of its reader, with the name of the other party: a person, a shop, a bank, or Batua.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KindWords:
    """The words of one kind of transfer. `{other}` is the other party, `{amount}` the amount in rupees.

    `mailed` is what a mail tells its recipient, and `subject` its subject, which has no words of the other party.
    """

    all: str
    sent: str
    received: str
    mailed: str = "{amount} arrived from {other}"
    subject: str = "{amount} arrived in your wallet"
    icon: str | None = None
    """None where the initials of the other party say more."""


KINDS: Mapping[str, KindWords] = {
    "payment": KindWords(
        "Payments", "Paid to {other}", "Paid by {other}", "{other} paid you {amount}", "You were paid {amount}"
    ),
    "p2p": KindWords(
        "Transfers", "Sent to {other}", "Received from {other}", "{other} sent you {amount}", "You received {amount}"
    ),
    "refund": KindWords(
        "Refunds",
        "Refunded to {other}",
        "Refunded by {other}",
        "{other} refunded you {amount}",
        "You were refunded {amount}",
        "undo",
    ),
    "onramp": KindWords(
        "Money added",
        "Taken back by {other}",
        "Added from {other}",
        "{amount} was added from {other}",
        "{amount} was added from your bank",
        "bank",
    ),
    "payout": KindWords("Withdrawals", "Withdrawn to {other}", "Withdrawal from {other}", icon="bank"),
    "payout_reversal": KindWords(
        "Withdrawals sent back",
        "Taken again by {other}",
        "Sent back by {other}",
        "{amount} was sent back by {other}",
        "{amount} was sent back by your bank",
        "bank",
    ),
    "funding": KindWords(
        "From Batua", "Returned to {other}", "Added by {other}", "{other} added {amount}", "Batua added {amount}"
    ),
    "adjustment": KindWords("Corrections", "Corrected by {other}", "Corrected by {other}"),
}
"""By the stored kind, in the order in which pages list them."""
PAYMENTS = frozenset({"payment", "p2p"})
"""Money that another person or shop sent on their own account."""
WELCOME_GIFT = "Welcome gift"
YOUR_WALLET = "your wallet"


def words_of(kind: str, *, is_incoming: bool, other: str, is_own: bool = False) -> str:
    """What happened: `Added from HDFC Bank`. `is_own`: `other` is the reader's own wallet or pot."""
    if is_own and kind == "p2p":
        return f"Moved {'from' if is_incoming else 'to'} {other}"
    words = KINDS[kind]
    return (words.received if is_incoming else words.sent).format(other=other)


def told_of(kind: str, *, other: str, amount: str) -> str:
    """What a mail about money received tells first."""
    return KINDS[kind].mailed.format(other=other, amount=amount)


def subject_of(kind: str, *, amount: str) -> str:
    """The subject of a mail about money received. It says nothing that the other party chose but the amount."""
    return KINDS[kind].subject.format(amount=amount)


def subject_of_many(kinds: Collection[str], *, count: str, amount: str) -> str:
    """The subject of a mail about much money received at once: `amount` by `count` movements of these kinds."""
    if PAYMENTS.issuperset(kinds):
        return f"{amount} in {count} payments"
    if set(kinds) == {"refund"}:
        return f"{amount} in {count} refunds"
    if set(kinds) == {"onramp"}:
        return f"{amount} was added from your bank"
    return f"{amount} arrived in your wallet"
