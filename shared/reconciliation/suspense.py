"""Keep the balance of `suspense` equal to the unmatched credits at the banks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from shared.ids import new_id
from shared.ledger import system_accounts
from shared.ledger.post import post
from shared.ledger.rules import Rejected, Transfer
from shared.reconciliation.comparison import Difference, OurLine


@dataclass(slots=True)
class Moved:
    """Paise parked and taken back, and the transfer that parks each reference."""

    parked: int = 0
    unparked: int = 0
    parked_as: dict[str, UUID] = field(default_factory=dict)


async def settle(
    session: AsyncSession,
    bank: str,
    differences: Sequence[Difference],
    parked: Sequence[OurLine],
    *,
    seen: Collection[str],
    since: datetime,
) -> Moved:
    """Park each unmatched credit that is not parked; take back each parked credit that is no longer unmatched.

    Only references in `seen` are taken back: of the others, neither book was read in this run.
    """
    moved = Moved(parked_as={line.reference: line.transfer_id for line in parked})
    unmatched = [difference for difference in differences if difference.kind == "unmatched_credit"]
    wanted = Counter((credit.reference, credit.bank_amount or 0) for credit in unmatched)
    commands: list[Transfer] = []
    for line in parked:
        if wanted[line.reference, line.amount] > 0:
            wanted[line.reference, line.amount] -= 1
        elif line.reference in seen:
            commands.append(_take_back(bank, line))
            moved.unparked += line.amount
            moved.parked_as.pop(line.reference, None)
    for credit in unmatched:
        name = (credit.reference, credit.bank_amount or 0)
        if credit.at >= since and wanted[name] > 0:
            wanted[name] -= 1
            transfer = _park(bank, *name)
            commands.append(transfer)
            moved.parked += transfer.amount
            moved.parked_as[credit.reference] = transfer.id
    for outcome in await post(session, commands):
        if isinstance(outcome, Rejected):
            raise outcome.error
    return moved


def _park(bank: str, reference: str, amount: int) -> Transfer:
    # The note is the bank's reference: a later run finds the line by it.
    return Transfer(
        new_id(), "adjustment", system_accounts.SETTLEMENT[bank], system_accounts.SUSPENSE, amount, note=reference
    )


def _take_back(bank: str, line: OurLine) -> Transfer:
    return Transfer(
        new_id(),
        "adjustment",
        system_accounts.SUSPENSE,
        system_accounts.SETTLEMENT[bank],
        line.amount,
        note=line.reference,
        reverses=line.transfer_id,
    )
