"""Checks of a shop's roll-ups: up to the watermark they equal the ledger.

Where entries are archived, the roll-ups equal those that are here and what the opening balance holds of the others:
sums in which each quarter of an hour has its own weight, so that an amount in another quarter makes another sum.
"""

from __future__ import annotations

from sqlalchemy import text

from shared.proof.ledger_checks import Check

_QUARTER = "date_bin('15 minutes', {at}, TIMESTAMPTZ '2000-01-01 00:00:00+00')"
# The first quarter of an hour without an archived entry.
_WHOLE_FROM = f"coalesce({_QUARTER.format(at='o.last_entry_at')} + interval '15 minutes', '-infinity')"
_OPENED = "LEFT JOIN LATERAL (SELECT * FROM opening_balances WHERE account_id = {account} OFFSET 0) o ON true"
_WEIGHT = "digest_number(CAST(CAST(extract(epoch FROM {quarter}) AS bigint) AS text))"

CHECKS = (
    Check(
        "every shop's roll-ups are its payments up to the watermark",
        "shops",
        f"""
        SELECT account_id, quarter_start, rollup.amount AS rolled_up, rollup.payments AS payments_rolled_up,
               ledger.amount, ledger.payments
        FROM (
            SELECT r.* FROM inflow_rollups r {_OPENED.format(account="r.account_id")}
            WHERE r.account_id > :after AND r.account_id <= :upto AND r.quarter_start >= {_WHOLE_FROM}
        ) rollup FULL JOIN (
            SELECT e.account_id, {_QUARTER.format(at="e.created_at")}
                   AS quarter_start, sum(e.amount) AS amount, count(*) AS payments
            FROM inflow_watermarks mark
            {_OPENED.format(account="mark.account_id")}
            JOIN entries e ON e.account_id = mark.account_id AND e.seq <= mark.seq
            JOIN transfers t ON t.id = e.transfer_id
            WHERE mark.account_id > :after AND mark.account_id <= :upto
              AND e.direction = 'CREDIT' AND t.kind = 'payment' AND e.created_at >= {_WHOLE_FROM}
            GROUP BY 1, 2
        ) ledger USING (account_id, quarter_start)
        WHERE rollup.amount IS DISTINCT FROM ledger.amount OR rollup.payments IS DISTINCT FROM ledger.payments
        ORDER BY account_id, quarter_start LIMIT :limit
        """,  # noqa: S608 - constants of this file
    ),
    Check(
        "every shop's roll-ups of archived payments are what those were",
        "shops",
        f"""
        SELECT shop.id AS account_id, mark.seq AS watermark, o.seq AS archived_upto, o.last_entry_at AS archived_until
        FROM accounts shop {_OPENED.format(account="shop.id")}
        LEFT JOIN LATERAL (SELECT seq FROM inflow_watermarks WHERE account_id = shop.id OFFSET 0) mark ON true
        CROSS JOIN LATERAL (
            SELECT sum(amount * {_WEIGHT.format(quarter="quarter_start")}) AS amounts,
                   sum(payments * {_WEIGHT.format(quarter="quarter_start")}) AS payments
            FROM inflow_rollups WHERE account_id = shop.id AND quarter_start < {_WHOLE_FROM}
        ) rolled_up CROSS JOIN LATERAL (
            SELECT sum(e.amount * {_WEIGHT.format(quarter=_QUARTER.format(at="e.created_at"))}) AS amounts,
                   sum({_WEIGHT.format(quarter=_QUARTER.format(at="e.created_at"))}) AS payments
            FROM entries e JOIN transfers t ON t.id = e.transfer_id
            WHERE e.account_id = shop.id AND e.seq <= mark.seq AND e.created_at < {_WHOLE_FROM}
              AND e.direction = 'CREDIT' AND t.kind = 'payment'
        ) here
        WHERE shop.id > :after AND shop.id <= :upto AND shop.kind = 'merchant' AND o.seq IS NOT NULL
          AND (coalesce(mark.seq, 0) < o.seq
               OR coalesce(rolled_up.amounts, 0) <> o.inflow_amounts + coalesce(here.amounts, 0)
               OR coalesce(rolled_up.payments, 0) <> o.inflow_payments + coalesce(here.payments, 0))
        ORDER BY shop.id LIMIT :limit
        """,  # noqa: S608 - constants of this file
    ),
    Check(
        "no shop's watermark is ahead of its account",
        "shops",
        """
        SELECT mark.account_id, mark.seq AS watermark, a.seq AS entries
        FROM inflow_watermarks mark LEFT JOIN accounts a ON a.id = mark.account_id
        WHERE mark.account_id > :after AND mark.account_id <= :upto AND mark.seq > coalesce(a.seq, 0)
        ORDER BY mark.account_id LIMIT :limit
        """,
    ),
)

# A chunk of shops also ends when their entries exceed the chunk size.
NEXT_CHUNK = text("""
    SELECT id AS upto, number AS rows FROM (
        SELECT id, row_number() OVER (ORDER BY id) AS number, sum(seq + 1) OVER (ORDER BY id) - seq AS weight
        FROM (SELECT id, seq FROM accounts WHERE kind = 'merchant' AND id > :after ORDER BY id LIMIT :size) page
    ) counted
    WHERE weight <= CAST(:size AS bigint) ORDER BY id DESC LIMIT 1
""")
