"""Checks of a shop's roll-ups: up to the watermark they equal the ledger."""

from __future__ import annotations

from sqlalchemy import text

from shared.proof.ledger_checks import Check

CHECKS = (
    Check(
        "every shop's roll-ups are its payments up to the watermark",
        "shops",
        """
        SELECT account_id, quarter_start, rollup.amount AS rolled_up, rollup.payments AS payments_rolled_up,
               ledger.amount, ledger.payments
        FROM (
            SELECT * FROM inflow_rollups WHERE account_id > :after AND account_id <= :upto
        ) rollup FULL JOIN (
            SELECT e.account_id, date_bin('15 minutes', e.created_at, TIMESTAMPTZ '2000-01-01 00:00:00+00')
                   AS quarter_start, sum(e.amount) AS amount, count(*) AS payments
            FROM inflow_watermarks mark
            JOIN entries e ON e.account_id = mark.account_id AND e.seq <= mark.seq
            JOIN transfers t ON t.id = e.transfer_id
            WHERE mark.account_id > :after AND mark.account_id <= :upto
              AND e.direction = 'CREDIT' AND t.kind = 'payment'
            GROUP BY 1, 2
        ) ledger USING (account_id, quarter_start)
        WHERE rollup.amount IS DISTINCT FROM ledger.amount OR rollup.payments IS DISTINCT FROM ledger.payments
        ORDER BY account_id, quarter_start LIMIT :limit
        """,
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
