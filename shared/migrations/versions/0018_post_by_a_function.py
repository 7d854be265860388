"""Create the one function that moves money: it derives entries and balances itself, and knows what each role may write."""

from __future__ import annotations

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

# Arrays are columns: one value per transfer, hold or account. A short array is filled up with the value after it.
_PARAMETERS = """
    ids uuid[], amounts bigint[], debited uuid[], credited uuid[], kinds text[], currencies text[], notes text[],
    initiators uuid[], originals uuid[], captured uuid[], the_debited uuid, the_credited uuid, the_kind text,
    the_currency text, the_note text, the_initiator uuid, the_original uuid,
    counted uuid[], days date[], sent bigint[],
    placed uuid[], placed_on uuid[], placed_amounts bigint[], released uuid[],
    posted_at timestamptz
"""
_TYPES = """
    uuid[], bigint[], uuid[], uuid[], text[], text[], text[], uuid[], uuid[], uuid[], uuid, uuid, text, text, text,
    uuid, uuid, uuid[], date[], bigint[], uuid[], uuid[], bigint[], uuid[], timestamptz
"""

# A service has the right to call this, and none to write these tables. The caller is `session_user`: within the
# function `current_user` is its owner, who may also write the tables directly, and whom it does not judge.
# The plan is made once for batches of every size, and finds accounts by their key: statistics of a young database would
# have it read all of them.
_POST = f"""
    CREATE FUNCTION post_to_ledger({_PARAMETERS}) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $function$
    DECLARE
        is_trusted boolean := pg_has_role(session_user, current_user, 'MEMBER');
        allowed text[] := CASE session_user
            WHEN 'user_app' THEN ARRAY['p2p', 'payment', 'funding', 'onramp']
            WHEN 'merchant_app' THEN ARRAY['p2p', 'payment', 'refund']
            WHEN 'bank_webhook' THEN ARRAY['onramp', 'payout', 'payout_reversal']
            WHEN 'withdraw_worker' THEN ARRAY['onramp', 'payout', 'payout_reversal', 'adjustment']
            ELSE ARRAY[]::text[] END;
        ended uuid[] := released || array_remove(captured, NULL);
        held_on uuid[];
        held_changes bigint[];
        written bigint;
    BEGIN
        IF NOT is_trusted AND NOT (kinds <@ allowed AND coalesce(the_kind = ANY (allowed), true)) THEN
            RAISE EXCEPTION '% may not write a transfer of the kinds %', session_user, array_remove(kinds || the_kind, NULL)
                USING ERRCODE = 'insufficient_privilege';
        END IF;
        IF cardinality(placed) > 0 THEN
            IF NOT is_trusted AND session_user NOT IN ('user_app', 'merchant_app') THEN
                RAISE EXCEPTION '% may not place a hold', session_user USING ERRCODE = 'insufficient_privilege';
            END IF;
            INSERT INTO public.holds (id, account_id, amount, status, created_at)
            SELECT hold.id, account.id, hold.amount, 'active', posted_at
            FROM unnest(placed, placed_on, placed_amounts) AS hold (id, account_id, amount)
            JOIN public.accounts AS account ON account.id = hold.account_id AND account.closed_at IS NULL
            WHERE is_trusted OR account.kind IN ('wallet', 'merchant');
            GET DIAGNOSTICS written = ROW_COUNT;
            IF written IS DISTINCT FROM cardinality(placed) THEN
                RAISE EXCEPTION 'a hold needs an open account of an owner' USING ERRCODE = 'check_violation';
            END IF;
            held_on := placed_on;
            held_changes := placed_amounts;
        END IF;
        IF cardinality(ended) > 0 THEN
            SELECT held_on || array_agg(active.account_id), held_changes || array_agg(-active.amount), count(*)
            INTO held_on, held_changes, written
            FROM (
                SELECT hold.account_id, hold.amount FROM public.holds AS hold
                WHERE hold.id = ANY (ended) AND hold.status = 'active' FOR UPDATE
            ) AS active;
            IF written IS DISTINCT FROM cardinality(ended) THEN
                RAISE EXCEPTION 'of the holds % not each is active', ended USING ERRCODE = 'check_violation';
            END IF;
        END IF;

        WITH moved AS MATERIALIZED (
            SELECT number, id, amount, coalesce(kind, the_kind) AS kind, coalesce(debit, the_debited) AS debit,
                   coalesce(credit, the_credited) AS credit, coalesce(currency, the_currency) AS currency,
                   coalesce(note, the_note) AS note, coalesce(initiator, the_initiator) AS initiator,
                   coalesce(original, the_original) AS original
            FROM unnest(ids, amounts, debited, credited, kinds, currencies, notes, initiators, originals)
                 WITH ORDINALITY
                 AS moved (id, amount, debit, credit, kind, currency, note, initiator, original, number)
        ),
        side AS (
            SELECT number, id, kind, debit AS account_id, 'DEBIT' AS direction, amount, -amount AS change, currency,
                   initiator FROM moved
            UNION ALL
            SELECT number, id, kind, credit, 'CREDIT', amount, amount, currency, initiator FROM moved
        ),
        total AS (
            SELECT account_id, sum(change)::bigint AS change, sum(line)::bigint AS lines,
                   sum(held_change)::bigint AS held_change, max(day) AS day, max(sent_today) AS sent_today
            FROM (
                SELECT account_id, change, 1, 0, NULL::date, NULL::bigint FROM side
                UNION ALL SELECT account_id, 0, 0, change, NULL, NULL
                          FROM unnest(held_on, held_changes) AS hold (account_id, change)
                UNION ALL SELECT account_id, 0, 0, 0, day, sent_today
                          FROM unnest(counted, days, sent) AS count (account_id, day, sent_today)
            ) AS each (account_id, change, line, held_change, day, sent_today)
            GROUP BY account_id
        ),
        changed AS (
            UPDATE public.accounts AS account
            SET balance = account.balance + total.change, seq = account.seq + total.lines,
                held = account.held + total.held_change,
                sent_on = coalesce(total.day, account.sent_on), sent_today = coalesce(total.sent_today, account.sent_today)
            FROM total
            WHERE account.id = total.account_id AND (account.closed_at IS NULL OR total.lines = 0)
            RETURNING account.id, account.kind, account.owner_id, account.currency, old.balance, old.seq
        ),
        new_transfer AS (
            INSERT INTO public.transfers (id, kind, debit_account_id, credit_account_id, amount, currency, note,
                                          initiated_by, reverses, created_at)
            SELECT id, kind, debit, credit, amount, currency, note, initiator, original, posted_at FROM moved
        )
        INSERT INTO public.entries (account_id, seq, transfer_id, direction, amount, balance_after, created_at)
        SELECT side.account_id, account.seq + row_number() OVER so_far, side.id, side.direction, side.amount,
               account.balance + sum(side.change) OVER so_far, posted_at
        FROM side JOIN changed AS account ON account.id = side.account_id
        WHERE account.currency = side.currency AND (is_trusted OR CASE side.direction
            WHEN 'DEBIT' THEN CASE
                WHEN side.kind IN ('p2p', 'payment') THEN
                    account.kind IN ('wallet', 'merchant', 'pot') AND account.owner_id = side.initiator
                WHEN side.kind = 'refund' THEN account.kind = 'merchant' AND account.owner_id = side.initiator
                WHEN side.kind = 'payout' THEN account.kind IN ('wallet', 'merchant')
                WHEN side.kind IN ('onramp', 'payout_reversal') THEN account.kind = 'bank_settlement'
                WHEN side.kind = 'adjustment' THEN account.kind IN ('bank_settlement', 'suspense')
                ELSE account.kind = 'funding' END
            ELSE CASE
                WHEN side.kind = 'p2p' THEN account.kind IN ('wallet', 'pot')
                WHEN side.kind = 'payment' THEN account.kind = 'merchant'
                WHEN side.kind = 'payout' THEN account.kind = 'bank_settlement'
                WHEN side.kind = 'adjustment' THEN account.kind IN ('bank_settlement', 'suspense')
                ELSE account.kind IN ('wallet', 'merchant', 'pot') END
        END)
        WINDOW so_far AS (PARTITION BY side.account_id ORDER BY side.number);
        GET DIAGNOSTICS written = ROW_COUNT;
        IF written IS DISTINCT FROM 2 * cardinality(ids) THEN
            RAISE EXCEPTION 'not every account is open, of the currency, and one that % may debit or credit so',
                session_user USING ERRCODE = 'check_violation';
        END IF;

        IF cardinality(ended) > 0 THEN
            UPDATE public.holds AS hold
            SET status = CASE WHEN became.transfer_id IS NULL THEN 'released' ELSE 'captured' END,
                transfer_id = became.transfer_id, closed_at = posted_at
            FROM (
                SELECT moved.hold_id, moved.transfer_id, moved.amount, coalesce(moved.debit, the_debited) AS account_id
                FROM unnest(captured, ids, amounts, debited) AS moved (hold_id, transfer_id, amount, debit)
                WHERE moved.hold_id IS NOT NULL
                UNION ALL SELECT hold_id, NULL, NULL, NULL FROM unnest(released) AS hold_id
            ) AS became
            WHERE hold.id = became.hold_id AND hold.status = 'active' AND (became.transfer_id IS NULL
                  OR hold.amount = became.amount AND hold.account_id = became.account_id);
            GET DIAGNOSTICS written = ROW_COUNT;
            IF written IS DISTINCT FROM cardinality(ended) THEN
                RAISE EXCEPTION 'a hold becomes a transfer of its own amount from its own account'
                    USING ERRCODE = 'check_violation';
            END IF;
        END IF;
        RETURN cardinality(ids) + cardinality(placed) + cardinality(ended);
    END $function$
"""  # noqa: S608 - constants of this file


def upgrade() -> None:
    op.execute(_POST)
    op.execute(f"REVOKE ALL ON FUNCTION post_to_ledger({_TYPES}) FROM PUBLIC")


def downgrade() -> None:
    op.execute(f"DROP FUNCTION post_to_ledger({_TYPES})")
