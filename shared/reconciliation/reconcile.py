"""Reconcile with a bank: file each difference once, park what belongs to nobody, take back what was found since.

Money never disappears silently: a credit at the bank that nothing of ours explains is booked from the bank's
settlement account to `suspense`, so that our books equal the bank's while somebody finds out whose it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from shared import clock
from shared.banks.wire import StatementItem
from shared.db.engine import SessionMaker
from shared.reconciliation import findings, suspense
from shared.reconciliation.bank_book import our_lines, parked_credits, under_way
from shared.reconciliation.comparison import Comparison, Difference, OurLine, compare

GRACE = timedelta(minutes=10)
"""Younger lines are left to the webhook, the enquiry and the worker."""
LOOKBACK = timedelta(days=7)
"""How far before the range lines are read, so that what belongs together is seen together."""


class StatementSource(Protocol):
    """What is needed of `shared.banks.client.BankClient`."""

    async def statement(self, start: datetime, end: datetime) -> list[StatementItem]:
        """Every line of our nodal account in the range, oldest first."""


@dataclass(frozen=True, slots=True)
class Report:
    """What one run found. Amounts in paise."""

    bank: str
    since: datetime
    until: datetime
    bank_lines: int
    matched: int
    differences: Sequence[Difference]
    """All that stand now, whether filed by this run or before."""
    filed: int
    resolved: int
    parked: int
    unparked: int

    @property
    def ok(self) -> bool:
        """Whether the two books agree."""
        return not self.differences


async def reconcile_bank(
    sessionmaker: SessionMaker,
    client: StatementSource,
    bank: str,
    *,
    since: datetime,
    until: datetime,
    grace: timedelta = GRACE,
) -> Report:
    """Compare the lines from `since` until `until` and file what differs; running it again files nothing new.

    Commits. Raises NotSent or MayHaveBeenSent when the bank gives no statement; nothing is changed then.
    """
    if since >= until:
        raise ValueError("since must lie before until")
    cut = min(until, clock.now() - grace)
    async with sessionmaker() as session:
        earliest = await findings.earliest_begin(session, bank, since)
    read_from = min(since, earliest) - LOOKBACK
    items = await client.statement(read_from, until)

    async with sessionmaker.begin() as session:
        await findings.lock(session, bank)
        ours = [line for line in await our_lines(session, bank, since=read_from) if not line.is_parked]
        parked = await parked_credits(session, bank)
        compared = compare(items, ours, expected=await under_way(session, bank), bank_cut=cut, our_cut=cut)
        seen = {line.reference for line in items} | {line.reference for line in ours}
        moved = await suspense.settle(session, bank, compared.differences, parked, seen=seen, since=since)
        standing = _standing(compared, parked, since)
        filed = await findings.file(session, bank, standing, moved.parked_as)
        resolved = await findings.resolve_others(session, bank, compared.differences, seen=seen)
    return Report(
        bank=bank,
        since=since,
        until=until,
        bank_lines=len(items),
        matched=compared.matched,
        differences=standing,
        filed=filed,
        resolved=resolved,
        parked=moved.parked,
        unparked=moved.unparked,
    )


def _standing(compared: Comparison, parked: Sequence[OurLine], since: datetime) -> list[Difference]:
    """Differences of the range itself. What came before it was an earlier run's to file, its partner unread."""
    known = {line.reference for line in parked}
    return [
        difference
        for difference in compared.differences
        if difference.at >= since or (difference.kind == "unmatched_credit" and difference.reference in known)
    ]
