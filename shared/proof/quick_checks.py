"""Checks of what is new: each reads rows by their keys, however long the history before them is."""

from __future__ import annotations

from sqlalchemy import text

from shared.db.columns import sql_values
from shared.models.withdrawal import WithdrawalStatus
from shared.proof.ledger_checks import CHECKS, Check

_UNFINISHED = sql_values(status for status in WithdrawalStatus if not status.is_final)

# LIMIT 1 keeps Postgres from joining a whole table: it looks up one row after the other, by a unique key.
OF_TRANSFERS = (
    *(check for check in CHECKS if check.domain == "transfers"),
    Check(
        "every new entry follows the one before it",
        "transfers",
        """
        SELECT e.account_id, e.seq, e.transfer_id, e.direction, e.amount, before.balance_after AS balance_before,
               e.balance_after
        FROM transfers t
        CROSS JOIN LATERAL (SELECT * FROM entries WHERE transfer_id = t.id) e
        LEFT JOIN LATERAL (
            SELECT seq, balance_after FROM entries WHERE account_id = e.account_id AND seq = e.seq - 1
            UNION ALL
            SELECT seq, balance FROM opening_balances WHERE account_id = e.account_id AND seq = e.seq - 1 LIMIT 1
        ) before ON true
        WHERE t.id > :after AND t.id <= :upto
          AND (e.seq <> coalesce(before.seq, 0) + 1
               OR e.balance_after <> coalesce(before.balance_after, 0)
                                     + CASE e.direction WHEN 'CREDIT' THEN e.amount ELSE -e.amount END)
        ORDER BY e.account_id, e.seq LIMIT :limit
        """,
    ),
)

OF_ACCOUNTS = (
    Check(
        "every account is as its last entry left it",
        "accounts",
        """
        SELECT touched.id AS account_id, a.kind, a.name, a.balance, a.seq, last.balance_after, last.seq AS last_seq
        FROM unnest(CAST(:account_ids AS uuid[])) AS touched (id)
        LEFT JOIN LATERAL (SELECT * FROM accounts WHERE id = touched.id LIMIT 1) a ON true
        LEFT JOIN LATERAL (
            (SELECT seq, balance_after FROM entries WHERE account_id = touched.id ORDER BY seq DESC LIMIT 1)
            UNION ALL
            SELECT seq, balance FROM opening_balances WHERE account_id = touched.id ORDER BY seq DESC LIMIT 1
        ) last ON true
        WHERE a.id IS NULL OR a.balance <> coalesce(last.balance_after, 0) OR a.seq <> coalesce(last.seq, 0)
        ORDER BY touched.id LIMIT :limit
        """,
    ),
    Check(
        "every held amount is the sum of its active holds",
        "accounts",
        """
        SELECT touched.id AS account_id, a.kind, a.name, a.held, coalesce(h.total, 0) AS sum_of_active_holds
        FROM unnest(CAST(:account_ids AS uuid[])) AS touched (id)
        CROSS JOIN LATERAL (SELECT * FROM accounts WHERE id = touched.id LIMIT 1) a
        CROSS JOIN LATERAL (
            SELECT sum(amount) AS total FROM holds WHERE account_id = touched.id AND status = 'active'
        ) h
        WHERE a.held <> coalesce(h.total, 0)
        ORDER BY a.id LIMIT :limit
        """,
    ),
    Check(
        "every active hold is that of one withdrawal under way",
        "accounts",
        f"""
        SELECT h.id AS hold_id, h.account_id, h.amount, w.id AS withdrawal_id, w.status, w.amount AS withdrawal_amount
        FROM unnest(CAST(:account_ids AS uuid[])) AS touched (id)
        CROSS JOIN LATERAL (SELECT * FROM holds WHERE account_id = touched.id AND status = 'active') h
        LEFT JOIN LATERAL (SELECT * FROM withdrawals WHERE hold_id = h.id LIMIT 1) w ON true
        WHERE w.id IS NULL OR w.amount <> h.amount OR w.account_id <> h.account_id OR w.status NOT IN {_UNFINISHED}
        ORDER BY h.id LIMIT :limit
        """,  # noqa: S608 - statuses of the model
    ),
)

TOUCHED_BY_TRANSFERS = text("""
    SELECT array_agg(DISTINCT account_id) FROM (
        SELECT unnest(ARRAY[debit_account_id, credit_account_id]) AS account_id FROM transfers
        WHERE id > :after AND id <= :upto
    ) sides
""")
NEXT_WITH_HOLDS = text("""
    SELECT array_agg(DISTINCT account_id) FROM (
        SELECT account_id FROM holds WHERE status = 'active' AND account_id > :after ORDER BY account_id LIMIT :size
    ) page
""")
NEXT_ACCOUNTS = text("""
    SELECT array_agg(id ORDER BY id) FROM (
        SELECT id FROM accounts WHERE id > :after ORDER BY id LIMIT :size
    ) page
""")
