"""Reconcile with a bank: store each difference once, park unmatched credits, and take back credits that match later.

A credit at the bank that no payment of ours explains is booked from the bank's settlement account to `suspense`: our
books equal the bank's while an operator finds its owner.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared import clock
from shared.banks.statements import StatementSource, whole_statement
from shared.db.engine import SessionMaker
from shared.reconciliation import findings, suspense
from shared.reconciliation.bank_book import our_lines, parked_credits, under_way
from shared.reconciliation.comparison import Comparison, Difference, OurLine, compare

GRACE = timedelta(minutes=10)
"""Newer lines are not compared: the webhook, the enquiry or the worker may still settle them."""
LOOKBACK = timedelta(days=7)
"""Lines are read from this long before the range, so that both sides of a payment are compared."""


@dataclass(frozen=True, slots=True)
class Report:
    """The result of one run. Amounts are paise."""

    bank: str
    since: datetime
    until: datetime
    bank_lines: int
    matched: int
    differences: Sequence[Difference]
    """All open differences, stored by this run or before."""
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
    """Compare the lines from `since` until `until` and store the differences. A second run stores nothing new.

    Commits. Raises NotSent, MayHaveBeenSent or Refused when the bank answers no statement; nothing changes then.
    """
    if since >= until:
        raise ValueError("since must lie before until")
    cut = min(until, clock.now() - grace)
    async with sessionmaker() as session:
        earliest = await findings.earliest_begin(session, bank, since)
    read_from = min(since, earliest) - LOOKBACK
    items = await whole_statement(client, read_from, until)

    async with sessionmaker.begin() as session:
        await findings.lock(session, bank)
        ours = [line for line in await our_lines(session, bank, since=read_from) if not line.is_parked]
        parked = await parked_credits(session, bank)
        compared = compare(items, ours, expected=await under_way(session, bank), bank_cut=cut, our_cut=cut)
        seen = {line.reference for line in items} | {line.reference for line in ours}
        moved = await suspense.settle(session, bank, compared.differences, parked, seen=seen, since=since)
        open_differences = _open_differences(compared, parked, since)
        filed = await findings.file(session, bank, open_differences, moved.parked_as)
        resolved = await findings.resolve_others(session, bank, compared.differences, seen=seen)
    return Report(
        bank=bank,
        since=since,
        until=until,
        bank_lines=len(items),
        matched=compared.matched,
        differences=open_differences,
        filed=filed,
        resolved=resolved,
        parked=moved.parked,
        unparked=moved.unparked,
    )


def _open_differences(compared: Comparison, parked: Sequence[OurLine], since: datetime) -> list[Difference]:
    """The differences inside the range. An earlier run compared older lines; their counterparts are not read here."""
    known = {line.reference for line in parked}
    return [
        difference
        for difference in compared.differences
        if difference.at >= since or (difference.kind == "unmatched_credit" and difference.reference in known)
    ]
