"""What a shop received in a range of days: beside the days before, by hour, from whom, and what it gave back.

What it costs depends on the days of the range, not on how many payments came before or in them: sums are read from the
roll-ups, refunds from an index of their own, and customers from the newest payments only.
"""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from shared import clock
from shared.calendar import ONE_DAY, Month, start_of
from shared.db.reads import Source, fetch
from shared.inflow.rollups import inflow_and_hours, inflow_of_quarter_until, quarter_of
from shared.inflow.spans import Span, offsets_between
from shared.inflow.views import Customer, Inflow, Refunds, Report, TopCustomers
from shared.ledger.parties import HOLDER_COLUMNS, Holder

MOST_DAYS_BY_DAY = 62
"""A longer range is shown by month."""
NEWEST_ENTRIES = 1_000
"""The customers of a range are found among so many of its newest entries."""
NEWEST_REFUNDS = 10_000
"""A sum of refunds covers so many of the newest in a range."""
TOP_CUSTOMERS = 5

_HOLDER = HOLDER_COLUMNS.format(account="payer")
_HOLDER_FIELDS = len(Holder._fields)
# OFFSET 0: Postgres walks from each entry to its transfer by the key, whatever it believes of the sizes of tables.
_CUSTOMERS = f"""
    WITH paid AS MATERIALIZED (
        SELECT transfer.debit_account_id AS payer_id, entry.amount
        FROM (
            SELECT transfer_id, amount, direction FROM entries
            WHERE account_id = $1 AND created_at >= $2 AND created_at < $3
            ORDER BY created_at DESC, seq DESC LIMIT $4
        ) entry CROSS JOIN LATERAL (
            SELECT debit_account_id, kind FROM transfers WHERE id = entry.transfer_id OFFSET 0
        ) transfer
        WHERE entry.direction = 'CREDIT' AND transfer.kind = 'payment'
    ), best AS MATERIALIZED (
        SELECT payer_id, CAST(sum(amount) AS bigint) AS amount, count(*) AS payments FROM paid
        GROUP BY payer_id ORDER BY amount DESC, payments DESC, payer_id LIMIT $5
    )
    SELECT {_HOLDER}, best.amount, best.payments, (SELECT count(*) FROM paid)
    FROM best CROSS JOIN LATERAL (SELECT * FROM accounts WHERE id = best.payer_id OFFSET 0) payer
    ORDER BY best.amount DESC, best.payments DESC, best.payer_id
"""  # noqa: S608 - constants of this code
_REFUNDS = """
    SELECT CAST(coalesce(sum(amount), 0) AS bigint), count(*) FROM (
        SELECT amount FROM transfers
        WHERE debit_account_id = $1 AND kind = 'refund' AND created_at >= $2 AND created_at < $3
        ORDER BY created_at DESC LIMIT $4
    ) refund
"""


async def report(source: Source, account_id: UUID, zone: ZoneInfo, span: Span) -> Report:
    """The report of a shop's account on a span; by month when it has more than MOST_DAYS_BY_DAY days."""
    now = clock.now()
    begins, ends = span.boundaries(zone)
    earlier_begins, until = span.earlier_boundaries(now, zone)
    part, counted_until = await inflow_of_quarter_until(source, account_id, until)
    is_by_month = span.days > MOST_DAYS_BY_DAY
    days = _first_days(span, is_by_month=is_by_month)
    earlier = [earlier_begins, quarter_of(until), start_of(span.earlier_last + ONE_DAY, zone)]
    boundaries = [*earlier, *(start_of(day, zone) for day in days), ends]
    periods, hours = await inflow_and_hours(source, account_id, boundaries, begins, offsets_between(begins, ends, zone))
    found = periods[len(earlier) :]
    return Report(
        timezone=zone.key,
        span=span,
        total=sum(found, Inflow()),
        earlier=periods[0] + part,
        earlier_until=counted_until,
        is_under_way=span.is_under_way(now, zone),
        is_by_month=is_by_month,
        steps=list(zip(days, found, strict=True)),
        hours=hours,
        refunds=await _refunds(source, account_id, begins, ends),
        customers=await _customers(source, account_id, begins, ends),
    )


def _first_days(span: Span, *, is_by_month: bool) -> list[date]:
    """The days of a span; or the first day of each of its months, which is the span's first for a month begun."""
    if not is_by_month:
        return [span.first + offset * ONE_DAY for offset in range(span.days)]
    first, last = Month.of(span.first), Month.of(span.last)
    return [span.first, *(first.plus(number).first_day for number in range(1, first.until(last) + 1))]


async def _refunds(source: Source, account_id: UUID, begins: datetime, ends: datetime) -> Refunds:
    ((amount, count),) = await fetch(source, _REFUNDS, account_id, begins, ends, NEWEST_REFUNDS)
    return Refunds(amount, count, is_complete=count < NEWEST_REFUNDS)


async def _customers(source: Source, account_id: UUID, begins: datetime, ends: datetime) -> TopCustomers:
    rows = await fetch(source, _CUSTOMERS, account_id, begins, ends, NEWEST_ENTRIES, TOP_CUSTOMERS)
    items = []
    payments = 0
    for row in rows:
        amount, count, payments = row[_HOLDER_FIELDS:]
        items.append(Customer(Holder(*row[:_HOLDER_FIELDS]).seen_by(None), Inflow(amount, count)))
    return TopCustomers(items, payments)
