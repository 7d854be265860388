"""Checks of the ledger: queries that answer the rows that break a rule.

Each query reads one chunk of its domain, so that memory is bounded and progress can be shown:
rows with `id > :after AND id <= :upto`, or the same for (account_id, seq).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import text

from shared.db.columns import sql_values
from shared.models.withdrawal import WithdrawalStatus

Domain = Literal["accounts", "entries", "transfers", "holds", "on_ramps", "withdrawals", "shops", "ledger"]


@dataclass(frozen=True, slots=True)
class Check:
    """A rule, and the query for the rows of one chunk that break it."""

    name: str
    domain: Domain
    sql: str


_PAID_OUT = sql_values(WithdrawalStatus.paid_out())
_UNFINISHED = sql_values(status for status in WithdrawalStatus if not status.is_final)

# LATERAL adds up one account after the other. Postgres estimates a range of accounts badly, and joined to sums of the
# same range it may compute all of them once per account. Opening balances are looked up so, too.
_OPENED = "LEFT JOIN LATERAL (SELECT * FROM opening_balances WHERE account_id = a.id OFFSET 0) o ON true"
_ACCOUNTS = (
    Check(
        "every cached balance is the sum of its entries",
        "accounts",
        f"""
        SELECT a.id AS account_id, a.kind, a.name, a.balance, coalesce(o.balance, 0) + coalesce(e.total, 0)
               AS sum_of_entries
        FROM accounts a {_OPENED} CROSS JOIN LATERAL (
            SELECT sum(CASE direction WHEN 'CREDIT' THEN amount ELSE -amount END) AS total FROM entries
            WHERE account_id = a.id
        ) e
        WHERE a.id > :after AND a.id <= :upto AND a.balance <> coalesce(o.balance, 0) + coalesce(e.total, 0)
        ORDER BY a.id LIMIT :limit
        """,  # noqa: S608 - the join above
    ),
    Check(
        "every account has as many entries as it counted",
        "accounts",
        f"""
        SELECT a.id AS account_id, a.kind, a.name, a.seq, e.entries, e.last_seq, o.seq AS archived_upto
        FROM accounts a {_OPENED} CROSS JOIN LATERAL (
            SELECT count(*) AS entries, max(seq) AS last_seq FROM entries WHERE account_id = a.id
        ) e
        WHERE a.id > :after AND a.id <= :upto
          AND (a.seq <> coalesce(o.seq, 0) + e.entries OR a.seq <> coalesce(e.last_seq, o.seq, 0))
        ORDER BY a.id LIMIT :limit
        """,  # noqa: S608 - the join above
    ),
    Check(
        "every held amount is the sum of its active holds",
        "accounts",
        """
        SELECT a.id AS account_id, a.kind, a.name, a.held, coalesce(h.total, 0) AS sum_of_active_holds
        FROM accounts a CROSS JOIN LATERAL (
            SELECT sum(amount) AS total FROM holds WHERE account_id = a.id AND status = 'active'
        ) h
        WHERE a.id > :after AND a.id <= :upto AND a.held <> coalesce(h.total, 0)
        ORDER BY a.id LIMIT :limit
        """,
    ),
)

# The first row is the last row of the previous chunk: the window needs it, the previous chunk checked it. The first
# entry of an account follows its opening balance, which is looked up for that entry alone.
_WITH_PREVIOUS_ENTRY = """
    SELECT account_id, seq, transfer_id, direction, amount, balance_after,
           lag(seq) OVER account AS seq_before, lag(balance_after) OVER account AS balance_before
    FROM entries
    WHERE (account_id, seq) >= (:after_account, :after_seq) AND (account_id, seq) <= (:upto_account, :upto_seq)
    WINDOW account AS (PARTITION BY account_id ORDER BY seq)
"""
_OPENING = "(SELECT {column} FROM opening_balances o WHERE o.account_id = line.account_id)"

_ENTRIES = (
    Check(
        "entries are numbered 1, 2, 3 without a gap",
        "entries",
        f"""
        SELECT account_id, seq, transfer_id, seq_before FROM ({_WITH_PREVIOUS_ENTRY}) line
        WHERE (account_id, seq) > (:after_account, :after_seq)
          AND seq <> coalesce(seq_before, {_OPENING.format(column="seq")}, 0) + 1
        ORDER BY account_id, seq LIMIT :limit
        """,  # noqa: S608 - the query above
    ),
    Check(
        "every running balance is the one before plus its entry",
        "entries",
        f"""
        SELECT account_id, seq, transfer_id, direction, amount, balance_before, balance_after
        FROM ({_WITH_PREVIOUS_ENTRY}) line
        WHERE (account_id, seq) > (:after_account, :after_seq)
          AND balance_after <> coalesce(balance_before, {_OPENING.format(column="balance")}, 0)
                               + CASE direction WHEN 'CREDIT' THEN amount ELSE -amount END
        ORDER BY account_id, seq LIMIT :limit
        """,  # noqa: S608 - the query above
    ),
    Check(
        "every entry belongs to an account and says what its transfer says",
        "entries",
        """
        SELECT e.account_id, e.seq, e.transfer_id, e.direction, e.amount, t.amount AS transfer_amount,
               t.debit_account_id, t.credit_account_id
        FROM entries e LEFT JOIN transfers t ON t.id = e.transfer_id
        LEFT JOIN accounts a ON a.id = e.account_id AND a.id >= :after_account AND a.id <= :upto_account
        WHERE (e.account_id, e.seq) > (:after_account, :after_seq)
          AND (e.account_id, e.seq) <= (:upto_account, :upto_seq)
          AND (t.id IS NULL OR a.id IS NULL OR e.amount <> t.amount OR a.currency <> t.currency
               OR e.account_id <> CASE e.direction WHEN 'DEBIT' THEN t.debit_account_id ELSE t.credit_account_id END)
        ORDER BY e.account_id, e.seq LIMIT :limit
        """,
    ),
)

# Entries are looked up one transfer after the other. Joined by their range, Postgres expects one row in it and reads
# all of it for each transfer. An entry may be away if its account has archived ones of that time: whether it is one of
# those is what the sums of `away_checks` say.
_IS_AWAY = """
    EXISTS (SELECT FROM opening_balances o WHERE o.account_id = t.{account} AND o.last_entry_at >= t.created_at)
"""
_TRANSFERS = (
    Check(
        "every transfer has exactly its two entries",
        "transfers",
        f"""
        SELECT t.id AS transfer_id, t.kind, t.amount, e.entries
        FROM transfers t CROSS JOIN LATERAL (
            SELECT count(*) AS entries,
                   count(*) FILTER (WHERE direction = 'DEBIT' AND account_id = t.debit_account_id) AS debits,
                   count(*) FILTER (WHERE direction = 'CREDIT' AND account_id = t.credit_account_id) AS credits,
                   bool_and(amount = t.amount) AS is_of_its_amount
            FROM entries WHERE transfer_id = t.id
        ) e
        WHERE t.id > :after AND t.id <= :upto
          AND (e.entries <> e.debits + e.credits OR NOT e.is_of_its_amount
               OR e.debits <> 1 AND NOT (e.debits = 0 AND {_IS_AWAY.format(account="debit_account_id")})
               OR e.credits <> 1 AND NOT (e.credits = 0 AND {_IS_AWAY.format(account="credit_account_id")}))
        ORDER BY t.id LIMIT :limit
        """,  # noqa: S608 - the condition above
    ),
    Check(
        "what reverses a transfer never adds up to more than it",
        "transfers",
        """
        SELECT r.id AS transfer_id, r.kind, r.amount, r.reverses, o.amount AS original_amount
        FROM transfers r LEFT JOIN transfers o ON o.id = r.reverses
        WHERE r.id > :after AND r.id <= :upto AND r.reverses IS NOT NULL
          AND (o.id IS NULL OR r.debit_account_id <> o.credit_account_id OR r.credit_account_id <> o.debit_account_id
               OR (SELECT sum(amount) FROM transfers s WHERE s.reverses = r.reverses) > o.amount)
        ORDER BY r.id LIMIT :limit
        """,
    ),
    Check(
        "every total of reversals is the sum of what reverses the transfer",
        "transfers",
        """
        SELECT transfer_id, total.amount, t.amount AS transfer_amount, total.reversed, sums.reversed AS sum_of_reversals
        FROM (
            SELECT * FROM reversed_totals WHERE transfer_id > :after AND transfer_id <= :upto
        ) total FULL JOIN (
            SELECT reverses AS transfer_id, sum(amount) AS reversed FROM transfers
            WHERE reverses > :after AND reverses <= :upto GROUP BY reverses
        ) sums USING (transfer_id) LEFT JOIN transfers t ON t.id = transfer_id
        WHERE total.reversed IS DISTINCT FROM sums.reversed OR total.amount IS DISTINCT FROM t.amount
        ORDER BY transfer_id LIMIT :limit
        """,
    ),
    Check(
        "every transfer of kind onramp has one successful on-ramp",
        "transfers",
        """
        SELECT t.id AS transfer_id, t.amount, t.credit_account_id, t.created_at,
               (SELECT count(*) FROM on_ramps o WHERE o.transfer_id = t.id AND o.status = 'success') AS on_ramps
        FROM transfers t
        WHERE t.id > :after AND t.id <= :upto AND t.kind = 'onramp'
          AND (SELECT count(*) FROM on_ramps o WHERE o.transfer_id = t.id AND o.status = 'success') <> 1
        ORDER BY t.id LIMIT :limit
        """,
    ),
    Check(
        "every transfer of kind payout has one paid withdrawal, and every payout_reversal one reversed",
        "transfers",
        """
        SELECT t.id AS transfer_id, t.kind, t.amount, t.debit_account_id, t.created_at FROM transfers t
        WHERE t.id > :after AND t.id <= :upto AND (
            (t.kind = 'payout' AND (SELECT count(*) FROM withdrawals w WHERE w.transfer_id = t.id) <> 1)
            OR (t.kind = 'payout_reversal'
                AND (SELECT count(*) FROM withdrawals w WHERE w.reversal_transfer_id = t.id) <> 1))
        ORDER BY t.id LIMIT :limit
        """,
    ),
)

_HOLDS = (
    Check(
        "every captured hold became a transfer of its amount",
        "holds",
        """
        SELECT h.id AS hold_id, h.account_id, h.amount, h.transfer_id, t.amount AS transfer_amount
        FROM holds h LEFT JOIN transfers t ON t.id = h.transfer_id
        WHERE h.id > :after AND h.id <= :upto AND h.status = 'captured'
          AND (t.id IS NULL OR t.amount <> h.amount OR t.debit_account_id <> h.account_id)
        ORDER BY h.id LIMIT :limit
        """,
    ),
)

_ON_RAMPS = (
    Check(
        "every successful on-ramp has its transfer from the bank's settlement account",
        "on_ramps",
        """
        SELECT o.id AS on_ramp_id, o.bank, o.status, o.amount, o.transfer_id, t.kind, t.amount AS transfer_amount
        FROM on_ramps o LEFT JOIN transfers t ON t.id = o.transfer_id
        LEFT JOIN accounts s ON s.id = t.debit_account_id AND s.kind = 'bank_settlement' AND s.name = o.bank
        WHERE o.id > :after AND o.id <= :upto AND o.status = 'success'
          AND (t.id IS NULL OR s.id IS NULL OR t.kind <> 'onramp' OR t.amount <> o.amount
               OR t.currency <> o.currency OR t.credit_account_id <> o.account_id)
        ORDER BY o.id LIMIT :limit
        """,
    ),
)

_WITHDRAWALS = (
    Check(
        "every paid withdrawal has its transfer to the bank's settlement account",
        "withdrawals",
        f"""
        SELECT w.id AS withdrawal_id, w.bank, w.status, w.amount, w.transfer_id, t.kind, t.amount AS transfer_amount
        FROM withdrawals w LEFT JOIN transfers t ON t.id = w.transfer_id
        LEFT JOIN accounts s ON s.id = t.credit_account_id AND s.kind = 'bank_settlement' AND s.name = w.bank
        WHERE w.id > :after AND w.id <= :upto AND w.status IN {_PAID_OUT}
          AND (t.id IS NULL OR s.id IS NULL OR t.kind <> 'payout' OR t.amount <> w.amount
               OR t.currency <> w.currency OR t.debit_account_id <> w.account_id)
        ORDER BY w.id LIMIT :limit
        """,  # noqa: S608 - statuses of the model
    ),
    Check(
        "every reversed withdrawal has the transfer that gave it back",
        "withdrawals",
        """
        SELECT w.id AS withdrawal_id, w.bank, w.amount, w.transfer_id, w.reversal_transfer_id, t.kind, t.reverses
        FROM withdrawals w LEFT JOIN transfers t ON t.id = w.reversal_transfer_id
        WHERE w.id > :after AND w.id <= :upto AND w.status = 'reversed'
          AND (t.id IS NULL OR t.kind <> 'payout_reversal' OR t.amount <> w.amount
               OR t.reverses IS DISTINCT FROM w.transfer_id)
        ORDER BY w.id LIMIT :limit
        """,
    ),
    Check(
        "every withdrawal's hold is active until it ends, then captured when paid and released when not",
        "withdrawals",
        f"""
        SELECT w.id AS withdrawal_id, w.status, w.amount, h.id AS hold_id, h.status AS hold_status,
               h.amount AS hold_amount
        FROM withdrawals w LEFT JOIN holds h ON h.id = w.hold_id
        WHERE w.id > :after AND w.id <= :upto
          AND (h.id IS NULL OR h.amount <> w.amount OR h.account_id <> w.account_id
               OR h.transfer_id IS DISTINCT FROM w.transfer_id
               OR h.status <> CASE WHEN w.status IN {_UNFINISHED} THEN 'active'
                                   WHEN w.status IN {_PAID_OUT} THEN 'captured' ELSE 'released' END)
        ORDER BY w.id LIMIT :limit
        """,  # noqa: S608 - statuses of the model
    ),
)

# Of a debit in suspense: the action that ended it names its one transfer. CASE, because a proposal may say anything.
_LEDGER = (
    Check(
        "every debit in suspense that operators ended has its one transfer",
        "ledger",
        """
        SELECT done.id AS action_id, done.action, done.subject_id AS parked_by, parked.amount AS parked,
               moved.id AS transfer_id, moved.amount, payer.kind AS paid_by
        FROM operator_actions done
        LEFT JOIN transfers parked ON parked.id = done.subject_id
        LEFT JOIN transfers moved ON moved.id = CASE
            WHEN done.done_in IS NOT NULL AND done.action IN ('collect', 'book_fee')
            THEN CAST(done.arguments ->> 'transfer_id' AS uuid) END
        LEFT JOIN accounts payer ON payer.id = moved.debit_account_id
        WHERE done.done_in IS NOT NULL AND done.action IN ('collect', 'book_fee')
          AND (moved.kind = 'adjustment' AND moved.amount = parked.amount
               AND moved.credit_account_id = parked.debit_account_id
               AND (payer.kind = 'fees') = (done.action = 'book_fee')
               AND (done.action = 'book_fee' OR CAST(payer.id AS text) = done.arguments ->> 'account_id')) IS NOT TRUE
        ORDER BY done.id LIMIT :limit
        """,
    ),
    Check(
        "all balances together are zero",
        "ledger",
        """
        SELECT currency, sum(balance) AS sum_of_balances FROM accounts
        GROUP BY currency HAVING sum(balance) <> 0 ORDER BY currency LIMIT :limit
        """,
    ),
)

CHECKS = (*_LEDGER, *_ACCOUNTS, *_ENTRIES, *_TRANSFERS, *_HOLDS, *_ON_RAMPS, *_WITHDRAWALS)

COUNTS = text("""
    SELECT (SELECT count(*) FROM accounts) AS accounts, (SELECT count(*) FROM entries) AS entries,
           (SELECT count(*) FROM transfers) AS transfers, (SELECT count(*) FROM holds) AS holds,
           (SELECT count(*) FROM on_ramps) AS on_ramps, (SELECT count(*) FROM withdrawals) AS withdrawals,
           (SELECT count(*) FROM accounts WHERE kind = 'merchant') AS shops
""")

# The end of the next chunk. A chunk of accounts also ends when their entries exceed the chunk size.
NEXT_CHUNK = {
    "accounts": text("""
        SELECT id AS upto, number AS rows FROM (
            SELECT id, row_number() OVER (ORDER BY id) AS number, sum(seq + 1) OVER (ORDER BY id) - seq AS weight
            FROM (SELECT id, seq FROM accounts WHERE id > :after ORDER BY id LIMIT :size) page
        ) counted
        WHERE weight <= CAST(:size AS bigint) ORDER BY id DESC LIMIT 1
    """),
    "entries": text("""
        SELECT account_id AS upto_account, seq AS upto_seq, number AS rows FROM (
            SELECT account_id, seq, row_number() OVER (ORDER BY account_id, seq) AS number
            FROM (SELECT account_id, seq FROM entries WHERE (account_id, seq) > (:after_account, :after_seq)
                  ORDER BY account_id, seq LIMIT :size) page
        ) counted
        ORDER BY account_id DESC, seq DESC LIMIT 1
    """),
} | {
    table: text(f"""
        SELECT id AS upto, number AS rows FROM (
            SELECT id, row_number() OVER (ORDER BY id) AS number
            FROM (SELECT id FROM {table} WHERE id > :after ORDER BY id LIMIT :size) page
        ) counted
        ORDER BY id DESC LIMIT 1
    """)  # noqa: S608 - names of this file
    for table in ("transfers", "holds", "on_ramps", "withdrawals")
}
