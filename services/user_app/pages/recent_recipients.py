"""The people whom a user sent money to or received it from lately, to send to again with one tap."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from shared.ledger.statement import Line

MAX_RECIPIENTS = 5


@dataclass(frozen=True, slots=True)
class Recipient:
    """A person who can be sent money."""

    name: str
    wallet_id: str


def recent_recipients(lines: Iterable[Line]) -> list[Recipient]:
    """The people at the other end of these lines, at most MAX_RECIPIENTS, each once, in the order of the lines."""
    found: dict[str, Recipient] = {}
    for line in lines:
        wallet_id = line.counterparty.wallet_id
        if line.kind == "p2p" and wallet_id is not None:
            found.setdefault(wallet_id, Recipient(line.counterparty.name, wallet_id))
    return list(found.values())[:MAX_RECIPIENTS]
