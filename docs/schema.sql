-- The schema of Batua, made from shared/migrations by `make docs`. Amounts are paise, times are UTC.

CREATE FUNCTION public.check_on_ramp() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
    DECLARE
        found_row public.on_ramps;
    BEGIN
        IF pg_has_role(session_user, current_user, 'MEMBER') THEN RETURN NULL; END IF;
        IF TG_TABLE_NAME = 'on_ramps' THEN
            IF TG_OP = 'UPDATE' AND OLD.transfer_id IS NOT NULL AND NEW.transfer_id IS DISTINCT FROM OLD.transfer_id THEN
                RAISE EXCEPTION 'the transfer of an on-ramp never changes' USING ERRCODE = 'check_violation';
            END IF;
            SELECT * INTO found_row FROM public.on_ramps WHERE id = NEW.id;
        ELSE
            SELECT * INTO found_row FROM public.on_ramps WHERE transfer_id = NEW.id;
        END IF;
        PERFORM FROM public.transfers AS credit
        JOIN public.accounts AS bank ON bank.id = credit.debit_account_id
        JOIN public.accounts AS wallet ON wallet.id = credit.credit_account_id
        WHERE credit.id = found_row.transfer_id AND credit.kind = 'onramp' AND found_row.status = 'success'
          AND credit.amount = found_row.amount AND credit.currency = found_row.currency
          AND bank.kind = 'bank_settlement' AND bank.name = found_row.bank
          AND wallet.id = found_row.account_id AND wallet.owner_id = found_row.owner_id;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'no on-ramp and credit of one bank, account and amount: on-ramp %, transfer %',
                found_row.id, coalesce(found_row.transfer_id, NEW.id) USING ERRCODE = 'check_violation';
        END IF;
        RETURN NULL;
    END $$;

CREATE FUNCTION public.check_parked_debit() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    BEGIN
        IF public.ends_parked_debit((NEW.arguments ->> 'transfer_id')::uuid) IS NOT TRUE THEN
            RAISE EXCEPTION 'action % says % of a parked debit, and no transfer does so', NEW.id, NEW.action
                USING ERRCODE = 'check_violation';
        END IF;
        RETURN NULL;
    END $$;

CREATE FUNCTION public.check_transfer() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
    BEGIN
        IF pg_has_role(session_user, current_user, 'MEMBER') THEN RETURN NULL; END IF;
        IF NEW.kind = 'adjustment' AND session_user <> 'withdraw_worker' THEN
            PERFORM WHERE public.ends_parked_debit(NEW.id);
        ELSIF NEW.reverses IS NOT NULL THEN
            PERFORM FROM public.transfers AS original
            WHERE original.id = NEW.reverses AND original.currency = NEW.currency
              AND original.debit_account_id = NEW.credit_account_id
              AND original.credit_account_id = NEW.debit_account_id
              AND original.kind = CASE NEW.kind WHEN 'refund' THEN 'payment' WHEN 'payout_reversal' THEN 'payout'
                                                WHEN 'adjustment' THEN 'adjustment' END;
        ELSIF NEW.kind = 'funding' THEN
            PERFORM WHERE EXISTS (SELECT FROM public.owners WHERE id = NEW.initiated_by AND is_system)
               OR EXISTS (SELECT FROM public.entries WHERE account_id = NEW.credit_account_id AND seq = 1
                                                       AND transfer_id = NEW.id);
        ELSE
            PERFORM FROM public.accounts AS bank
            JOIN public.reconciliation_findings AS finding
              ON finding.bank = bank.name AND finding.kind = 'unmatched_credit' AND finding.reference = NEW.note
            JOIN public.accounts AS suspense ON suspense.id = NEW.credit_account_id AND suspense.kind = 'suspense'
            WHERE NEW.kind = 'adjustment' AND bank.id = NEW.debit_account_id AND bank.kind = 'bank_settlement';
        END IF;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'nothing explains transfer %, a % of %', NEW.id, NEW.kind, session_user
                USING ERRCODE = 'check_violation';
        END IF;
        RETURN NULL;
    END $$;

CREATE FUNCTION public.check_withdrawal() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
    DECLARE
        asked public.withdrawals;
    BEGIN
        IF pg_has_role(session_user, current_user, 'MEMBER') THEN RETURN NULL; END IF;
        IF TG_TABLE_NAME = 'withdrawals' AND TG_OP = 'UPDATE' AND session_user IN ('user_app', 'merchant_app') THEN
            IF OLD.status <> 'queued' OR OLD.ask_bank_first OR NEW.status <> 'cancelled' THEN
                RAISE EXCEPTION '% cancels withdrawals in the queue and ends no other: withdrawal %',
                    session_user, NEW.id USING ERRCODE = 'check_violation';
            END IF;
        END IF;
        IF TG_TABLE_NAME = 'withdrawals' AND TG_OP = 'UPDATE' AND session_user = 'bank_webhook' THEN
            IF NEW.status NOT IN ('succeeded', 'failed', 'reversed', 'needs_review') THEN
                RAISE EXCEPTION '% has no payout sent: withdrawal %', session_user, NEW.id
                    USING ERRCODE = 'check_violation';
            END IF;
        END IF;
        CASE TG_TABLE_NAME
            WHEN 'holds' THEN SELECT * INTO asked FROM public.withdrawals WHERE hold_id = NEW.id;
            WHEN 'withdrawals' THEN SELECT * INTO asked FROM public.withdrawals WHERE id = NEW.id;
            ELSE
                IF NEW.kind = 'payout' THEN
                    SELECT * INTO asked FROM public.withdrawals WHERE transfer_id = NEW.id;
                ELSE
                    SELECT * INTO asked FROM public.withdrawals WHERE reversal_transfer_id = NEW.id;
                END IF;
        END CASE;
        PERFORM FROM public.holds AS hold
        JOIN public.accounts AS account ON account.id = hold.account_id
        WHERE hold.id = asked.hold_id AND hold.account_id = asked.account_id AND hold.amount = asked.amount
          AND account.owner_id = asked.owner_id AND hold.transfer_id IS NOT DISTINCT FROM asked.transfer_id
          AND hold.status = CASE WHEN asked.status IN ('succeeded', 'reversed') THEN 'captured'
                                 WHEN asked.status IN ('failed', 'cancelled') THEN 'released' ELSE 'active' END;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'no withdrawal and hold of one account, amount and state: withdrawal %, % %',
                asked.id, TG_TABLE_NAME, NEW.id USING ERRCODE = 'check_violation';
        END IF;
        IF asked.transfer_id IS NOT NULL THEN
            PERFORM FROM public.transfers AS payout
            JOIN public.accounts AS bank ON bank.id = payout.credit_account_id
            WHERE payout.id = asked.transfer_id AND payout.kind = 'payout' AND payout.amount = asked.amount
              AND payout.currency = asked.currency AND payout.debit_account_id = asked.account_id
              AND bank.kind = 'bank_settlement' AND bank.name = asked.bank;
            IF NOT FOUND THEN
                RAISE EXCEPTION 'withdrawal % and payout % differ', asked.id, asked.transfer_id
                    USING ERRCODE = 'check_violation';
            END IF;
        END IF;
        IF asked.reversal_transfer_id IS NOT NULL THEN
            PERFORM FROM public.transfers AS back
            JOIN public.transfers AS payout ON payout.id = back.reverses
            WHERE back.id = asked.reversal_transfer_id AND back.kind = 'payout_reversal'
              AND payout.id = asked.transfer_id AND back.amount = payout.amount
              AND back.debit_account_id = payout.credit_account_id
              AND back.credit_account_id = payout.debit_account_id;
            IF NOT FOUND THEN
                RAISE EXCEPTION 'withdrawal % and reversal % differ', asked.id, asked.reversal_transfer_id
                    USING ERRCODE = 'check_violation';
            END IF;
        END IF;
        RETURN NULL;
    END $$;

CREATE FUNCTION public.count_reversal() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog'
    AS $$
        BEGIN
            INSERT INTO public.reversed_totals AS total (transfer_id, amount, reversed)
            SELECT id, amount, NEW.amount FROM public.transfers WHERE id = NEW.reverses
            ON CONFLICT (transfer_id) DO UPDATE SET reversed = total.reversed + EXCLUDED.reversed;
            RETURN NULL;
        END $$;

CREATE FUNCTION public.digest_number(said text) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
        SELECT ('x' || substr(hex, 1, 15))::bit(60)::bigint::numeric * 1152921504606846976
             + ('x' || substr(hex, 16, 15))::bit(60)::bigint
        FROM (SELECT encode(sha256(convert_to(said, 'UTF8')), 'hex') AS hex) AS hashed
    $$;

CREATE FUNCTION public.ends_parked_debit(moved_id uuid) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    BEGIN
        RETURN EXISTS (
            SELECT FROM public.transfers AS moved
            JOIN public.accounts AS payer ON payer.id = moved.debit_account_id
            JOIN public.operator_actions AS done ON done.done_in = pg_current_xact_id()::text
            JOIN public.transfers AS parked ON parked.id = done.subject_id
            JOIN public.accounts AS suspense ON suspense.id = parked.debit_account_id AND suspense.kind = 'suspense'
            JOIN public.accounts AS bank ON bank.id = parked.credit_account_id AND bank.kind = 'bank_settlement'
            WHERE moved.id = moved_id AND moved.id::text = done.arguments ->> 'transfer_id'
              AND moved.kind = 'adjustment' AND moved.credit_account_id = suspense.id
              AND moved.initiated_by IS NULL AND moved.reverses IS NULL
              AND parked.kind = 'adjustment' AND parked.reverses IS NULL
              AND moved.amount = parked.amount AND moved.currency = parked.currency
              AND moved.note IS NOT DISTINCT FROM parked.note
              AND done.arguments ->> 'amount' = parked.amount::text AND done.arguments ->> 'bank' = bank.name
              AND done.arguments ->> 'reference' = coalesce(parked.note, parked.id::text)
              AND CASE done.action
                  WHEN 'collect' THEN payer.kind IN ('wallet', 'merchant')
                      AND done.arguments ->> 'account_id' = payer.id::text
                      AND done.arguments ->> 'owner_id' = payer.owner_id::text
                      AND done.arguments ->> 'wallet_id' = payer.handle
                      AND payer.owner_id = coalesce(parked.initiated_by, payer.owner_id)
                  WHEN 'book_fee' THEN payer.kind = 'fees' AND parked.initiated_by IS NULL
              END
        );
    END $$;

CREATE FUNCTION public.guard_operator() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    BEGIN
        IF pg_has_role(session_user, current_user, 'MEMBER') THEN
            RETURN NEW;
        END IF;
        PERFORM FROM public.operator_actions AS done
        LEFT JOIN public.webhook_inbox AS delivery ON delivery.id = done.subject_id
        WHERE done.done_in = pg_current_xact_id()::text AND CASE TG_TABLE_NAME
            WHEN 'accounts' THEN done.subject_id = (to_jsonb(NEW) ->> 'owner_id')::uuid
                AND done.action = CASE WHEN to_jsonb(NEW) ->> 'frozen_at' IS NULL THEN 'unfreeze' ELSE 'freeze' END
            WHEN 'webhook_inbox' THEN done.action = 'replay' AND done.subject_id = NEW.id
            WHEN 'on_ramps' THEN done.action = 'replay' AND delivery.bank = to_jsonb(NEW) ->> 'bank'
                AND delivery.payload ->> 'token' = to_jsonb(NEW) ->> 'token'
                AND delivery.payload ->> 'amount' = to_jsonb(NEW) ->> 'amount'
                AND delivery.payload ->> 'user_id' = to_jsonb(NEW) ->> 'owner_id'
                AND delivery.payload ->> 'event' = CASE
                    WHEN to_jsonb(NEW) ->> 'status' = 'success' AND to_jsonb(OLD) ->> 'status' <> 'success'
                    THEN 'success' ELSE 'failure' END
            ELSE done.action = 'replay' AND delivery.bank = to_jsonb(NEW) ->> 'bank'
                    AND delivery.payload ->> 'reference' = NEW.id::text
                    AND to_jsonb(NEW) ->> 'status' = CASE
                        WHEN delivery.payload ->> 'amount' <> to_jsonb(NEW) ->> 'amount' THEN 'needs_review'
                        ELSE CASE delivery.payload ->> 'event' WHEN 'success' THEN 'succeeded'
                            WHEN 'failure' THEN 'failed' WHEN 'reversed' THEN 'reversed' END END
                OR done.action = 'park' AND done.subject_id = NEW.id AND to_jsonb(NEW) ->> 'status' = 'needs_review'
                OR done.action = 'resolve' AND done.subject_id = NEW.id
                    AND to_jsonb(NEW) ->> 'status'
                        = CASE done.arguments ->> 'decision' WHEN 'paid' THEN 'succeeded' WHEN 'failed' THEN 'failed' END
        END;
        IF NOT FOUND THEN
            RAISE EXCEPTION '% may change % % only as an action says that is carried out now', session_user,
                TG_TABLE_NAME, NEW.id USING ERRCODE = 'insufficient_privilege';
        END IF;
        RETURN NEW;
    END $$;

CREATE FUNCTION public.is_operator() RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
        SELECT EXISTS (SELECT FROM pg_roles AS caller JOIN pg_roles AS operators ON operators.rolname = 'batua_operator'
                       WHERE caller.rolname = session_user AND NOT caller.rolsuper
                         AND pg_has_role(caller.oid, operators.oid, 'MEMBER'))
    $$;

CREATE FUNCTION public.keep_archived_seal() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
    BEGIN
        
        IF NOT pg_has_role(session_user, current_user, 'MEMBER') THEN
            RAISE EXCEPTION '% may not write %', session_user, TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
        END IF;

        PERFORM FROM public.ledger_seals AS seal
        WHERE seal.id = NEW.seal_id AND seal.sealed_at < now() - interval '1 year'
          AND seal.id = (SELECT coalesce(max(seal_id), 0) + 1 FROM public.archived_seals);
        IF NOT FOUND THEN
            RAISE EXCEPTION 'seal % is not the next one that may be archived', NEW.seal_id
                USING ERRCODE = 'restrict_violation';
        END IF;
        RETURN NEW;
    END $$;

CREATE FUNCTION public.keep_entry() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
    BEGIN
        PERFORM FROM public.opening_balances
        WHERE account_id = OLD.account_id AND seq >= OLD.seq AND pg_has_role(session_user, current_user, 'MEMBER');
        IF NOT FOUND THEN
            RAISE EXCEPTION 'entries is append-only: DELETE refused' USING ERRCODE = 'restrict_violation';
        END IF;
        RETURN OLD;
    END $$;

CREATE FUNCTION public.keep_opening_balance() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET enable_seqscan TO 'off'
    AS $$
    DECLARE
        before public.opening_balances;
        gone record;
    BEGIN
        
        IF NOT pg_has_role(session_user, current_user, 'MEMBER') THEN
            RAISE EXCEPTION '% may not write %', session_user, TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
        END IF;

        IF TG_OP = 'UPDATE' THEN
            before := OLD;
        ELSE
            before := ROW (NEW.account_id, 0, 0, '-infinity'::timestamptz, NULL, 0, 0, NULL);
        END IF;
        PERFORM FROM public.ledger_seal_ranges AS span
        JOIN public.ledger_seals AS seal ON seal.id = span.seal_id
        JOIN public.accounts AS account ON account.id = span.account_id
        LEFT JOIN public.inflow_watermarks AS mark ON mark.account_id = span.account_id
        WHERE span.seal_id = NEW.seal_id AND span.account_id = NEW.account_id AND before.account_id = NEW.account_id
          AND span.first_seq = before.seq + 1 AND span.last_seq = NEW.seq
          AND seal.sealed_at < now() - interval '1 year'
          AND (account.kind = 'wallet' OR account.kind = 'merchant' AND mark.seq >= NEW.seq);
        IF NOT FOUND THEN
            RAISE EXCEPTION 'entries of account % up to % may not be archived', NEW.account_id, NEW.seq
                USING ERRCODE = 'restrict_violation';
        END IF;
        SELECT count(*) AS entries, sum(entry.change) AS change, max(entry.created_at) AS newest_at,
               coalesce(sum(entry.amount * entry.weight) FILTER (WHERE is_payment), 0) AS amounts,
               coalesce(sum(entry.weight) FILTER (WHERE is_payment), 0) AS payments,
               bool_and(entry.balance_after = entry.expected) AS follow
        INTO gone
        FROM (
            SELECT line.amount, line.created_at, line.balance_after, line.change,
                   before.balance + sum(line.change) OVER (ORDER BY line.seq) AS expected,
                   line.direction = 'CREDIT' AND transfer.kind = 'payment' AS is_payment,
                   public.digest_number(extract(epoch FROM date_bin(
                       '15 minutes', line.created_at, TIMESTAMPTZ '2000-01-01 00:00:00+00'))::bigint::text) AS weight
            FROM (
                SELECT *, CASE direction WHEN 'CREDIT' THEN amount ELSE -amount END AS change FROM public.entries
                WHERE account_id = NEW.account_id AND seq > before.seq AND seq <= NEW.seq
            ) AS line
            CROSS JOIN LATERAL (SELECT kind FROM public.transfers WHERE id = line.transfer_id OFFSET 0) AS transfer
        ) AS entry;
        IF gone.entries IS DISTINCT FROM NEW.seq - before.seq OR NOT gone.follow
           OR gone.newest_at > now() - interval '1 year' THEN
            RAISE EXCEPTION 'entries of account % from % to % are too new, or do not follow each other', NEW.account_id,
                before.seq + 1, NEW.seq USING ERRCODE = 'restrict_violation';
        END IF;
        NEW.balance := before.balance + gone.change;
        NEW.last_entry_at := greatest(before.last_entry_at, gone.newest_at);
        NEW.inflow_amounts := before.inflow_amounts + gone.amounts;
        NEW.inflow_payments := before.inflow_payments + gone.payments;
        NEW.changed_at := now();
        RETURN NEW;
    END $$;

CREATE FUNCTION public.keep_operator_action() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    DECLARE
        kept public.operator_actions;
    BEGIN
        IF TG_OP = 'INSERT' THEN
            NEW.proposed_by := session_user;
            NEW.proposed_at := now();
            NEW.decision := NULL;
            NEW.decided_by := NULL;
            NEW.decided_at := NULL;
            IF NEW.action IN ('freeze', 'park') THEN
                NEW.expires_at := NULL;
                NEW.done_in := pg_current_xact_id()::text;
                RETURN NEW;
            END IF;
            IF NOT public.is_operator() THEN
                RAISE EXCEPTION '% is not an operator', session_user USING ERRCODE = 'insufficient_privilege';
            END IF;
            NEW.expires_at := now() + interval '8 hours';
            NEW.done_in := NULL;
            NEW.outcome := NULL;
            RETURN NEW;
        END IF;
        kept := OLD;
        IF OLD.done_in = pg_current_xact_id()::text AND OLD.outcome IS NULL THEN
            kept.outcome := NEW.outcome;
            RETURN kept;
        END IF;
        IF OLD.done_in IS NOT NULL OR OLD.decision IS NOT NULL OR NEW.decision IS NULL THEN
            RAISE EXCEPTION 'an action of an operator is decided once' USING ERRCODE = 'restrict_violation';
        END IF;
        IF NOT public.is_operator() THEN
            RAISE EXCEPTION '% is not an operator', session_user USING ERRCODE = 'insufficient_privilege';
        END IF;
        kept.decision := NEW.decision;
        kept.decided_by := session_user;
        kept.decided_at := now();
        IF NEW.decision = 'confirmed' THEN
            IF OLD.proposed_by = session_user THEN
                RAISE EXCEPTION 'another operator than % has to confirm it', session_user
                    USING ERRCODE = 'insufficient_privilege';
            END IF;
            IF OLD.expires_at <= now() THEN
                RAISE EXCEPTION 'the proposal has expired' USING ERRCODE = 'restrict_violation';
            END IF;
            kept.done_in := pg_current_xact_id()::text;
        END IF;
        RETURN kept;
    END $$;

CREATE FUNCTION public.lock_number(number bigint) RETURNS void
    LANGUAGE sql
    AS $$SELECT pg_advisory_xact_lock(number)$$;

CREATE FUNCTION public.lock_number(room integer, number integer) RETURNS void
    LANGUAGE sql
    AS $$SELECT pg_advisory_xact_lock(room, number)$$;

CREATE FUNCTION public.name_operator() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
    BEGIN
        IF public.is_operator() THEN
            NEW.kind := 'operator_command';
            NEW.operator := left(session_user || ' (' || coalesce(NEW.operator, 'unnamed') || ')', 200);
        END IF;
        RETURN NEW;
    END $$;

CREATE FUNCTION public.post_to_ledger(ids uuid[], amounts bigint[], debited uuid[], credited uuid[], kinds text[], currencies text[], notes text[], initiators uuid[], originals uuid[], captured uuid[], the_debited uuid, the_credited uuid, the_kind text, the_currency text, the_note text, the_initiator uuid, the_original uuid, counted uuid[], days date[], sent bigint[], placed uuid[], placed_on uuid[], placed_amounts bigint[], released uuid[], posted_at timestamp with time zone) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'pg_temp'
    SET plan_cache_mode TO 'force_generic_plan'
    SET enable_seqscan TO 'off'
    AS $$
    DECLARE
        is_trusted boolean := pg_has_role(session_user, current_user, 'MEMBER');
        allowed text[] := CASE session_user
            WHEN 'user_app' THEN ARRAY['p2p', 'payment', 'funding', 'onramp']
            WHEN 'merchant_app' THEN ARRAY['p2p', 'payment', 'refund']
            WHEN 'bank_webhook' THEN ARRAY['onramp', 'payout', 'payout_reversal']
            WHEN 'withdraw_worker' THEN ARRAY['onramp', 'payout', 'payout_reversal', 'adjustment']
            ELSE CASE WHEN public.is_operator() THEN ARRAY['onramp', 'payout', 'payout_reversal', 'adjustment'] ELSE ARRAY[]::text[] END END;
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
            JOIN public.accounts AS account ON account.id = hold.account_id AND account.closed_at IS NULL AND account.frozen_at IS NULL
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
            RETURNING account.id, account.kind, account.owner_id, account.currency, account.frozen_at, old.balance, old.seq
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
        WHERE account.currency = side.currency AND (account.frozen_at IS NULL OR side.direction = 'CREDIT' OR side.kind = 'payout') AND (is_trusted OR CASE side.direction
            WHEN 'DEBIT' THEN CASE
                WHEN side.kind IN ('p2p', 'payment') THEN
                    account.kind IN ('wallet', 'merchant', 'pot') AND account.owner_id = side.initiator
                WHEN side.kind = 'refund' THEN account.kind = 'merchant' AND account.owner_id = side.initiator
                WHEN side.kind = 'payout' THEN account.kind IN ('wallet', 'merchant')
                WHEN side.kind IN ('onramp', 'payout_reversal') THEN account.kind = 'bank_settlement'
                WHEN side.kind = 'adjustment' THEN CASE session_user WHEN 'withdraw_worker'
                    THEN account.kind IN ('bank_settlement', 'suspense')
                    ELSE account.kind IN ('wallet', 'merchant', 'fees') END
                ELSE account.kind = 'funding' END
            ELSE CASE
                WHEN side.kind = 'p2p' THEN account.kind IN ('wallet', 'pot')
                WHEN side.kind = 'payment' THEN account.kind = 'merchant'
                WHEN side.kind = 'payout' THEN account.kind = 'bank_settlement'
                WHEN side.kind = 'adjustment' THEN account.kind = 'suspense'
                    OR account.kind = 'bank_settlement' AND session_user = 'withdraw_worker'
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
    END $$;

CREATE FUNCTION public.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
        BEGIN
            RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP
                USING ERRCODE = 'restrict_violation';
        END $$;

CREATE FUNCTION public.refuse_direct_write() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
        BEGIN
            RAISE EXCEPTION '% is written by a trigger alone: % refused', TG_TABLE_NAME, TG_OP
                USING ERRCODE = 'restrict_violation';
        END $$;

CREATE FUNCTION public.search_fold(said text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN (octet_length(said) = char_length(said)) THEN (lower((said COLLATE "C")) COLLATE "C") ELSE (replace(replace(replace(translate(casefold((regexp_replace((NORMALIZE(said, NFKD) COLLATE "C"), '[\u0300-\u036f\u0483-\u0487\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]+'::text, ''::text, 'g'::text) COLLATE pg_unicode_fast)), 'ıøđłħŧð'::text, 'iodlhtd'::text), 'æ'::text, 'ae'::text), 'œ'::text, 'oe'::text), 'þ'::text, 'th'::text) COLLATE "C") END;

CREATE FUNCTION public.search_grams(folded text) RETURNS text[]
    LANGUAGE sql IMMUTABLE COST 2000 PARALLEL SAFE
    RETURN ARRAY(SELECT DISTINCT substr(search_grams.folded, place.place, 2) AS substr FROM generate_series(1, (char_length(search_grams.folded) - 1)) place(place));

CREATE FUNCTION public.spell_merchants() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
        BEGIN
            NEW.business_name := normalize(NEW.business_name, NFC); NEW.category := normalize(NEW.category, NFC);
            NEW.search := public.search_fold(NEW.business_name);
            RETURN NEW;
        END $$;

CREATE FUNCTION public.spell_users() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
        BEGIN
            NEW.first_name := normalize(NEW.first_name, NFC); NEW.last_name := normalize(NEW.last_name, NFC);
            NEW.search := public.search_fold(NEW.first_name || ' ' || NEW.last_name);
            RETURN NEW;
        END $$;

CREATE FUNCTION public.try_lock_number(number bigint) RETURNS boolean
    LANGUAGE sql
    AS $$SELECT pg_try_advisory_xact_lock(number)$$;

-- Credit-positive: a credit adds to the balance, a debit subtracts. The sum of all balances is zero.
CREATE TABLE public.accounts (
    id uuid NOT NULL,
    owner_id uuid,
    kind character varying NOT NULL,
    name character varying NOT NULL,
    handle character varying,
    currency character varying NOT NULL,
    balance bigint DEFAULT 0 NOT NULL,
    held bigint DEFAULT 0 NOT NULL,
    allow_negative boolean DEFAULT false NOT NULL,
    seq bigint DEFAULT 0 NOT NULL,
    created_at timestamp with time zone NOT NULL,
    closed_at timestamp with time zone,
    sent_on date,
    sent_today bigint DEFAULT 0 NOT NULL,
    goal bigint,
    frozen_at timestamp with time zone,
    CONSTRAINT ck_accounts_currency CHECK (((currency)::text ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT ck_accounts_floor CHECK ((allow_negative OR ((balance - held) >= 0))),
    CONSTRAINT ck_accounts_goal CHECK (((goal IS NULL) OR ((goal > 0) AND ((kind)::text = 'pot'::text)))),
    CONSTRAINT ck_accounts_handle_names_wallets CHECK (((handle IS NOT NULL) = ((kind)::text = ANY ((ARRAY['wallet'::character varying, 'merchant'::character varying])::text[])))),
    CONSTRAINT ck_accounts_held_not_negative CHECK ((held >= 0)),
    CONSTRAINT ck_accounts_kind CHECK (((kind)::text = ANY ((ARRAY['wallet'::character varying, 'merchant'::character varying, 'pot'::character varying, 'bank_settlement'::character varying, 'funding'::character varying, 'suspense'::character varying, 'fees'::character varying])::text[]))),
    CONSTRAINT ck_accounts_sent_today_not_negative CHECK ((sent_today >= 0)),
    CONSTRAINT ck_accounts_seq_not_negative CHECK ((seq >= 0)),
    CONSTRAINT ck_accounts_system_has_no_owner CHECK (((owner_id IS NULL) = ((kind)::text = ANY ((ARRAY['bank_settlement'::character varying, 'funding'::character varying, 'suspense'::character varying, 'fees'::character varying])::text[]))))
)
WITH (fillfactor='90');

-- Entries of this seal are in a file, whose content has the seal's hash. Append-only, one seal after the other.
CREATE TABLE public.archived_seals (
    seal_id bigint NOT NULL,
    file_name character varying NOT NULL,
    file_hash character varying NOT NULL,
    entries_away bigint NOT NULL,
    rest_hash character varying NOT NULL,
    transfers_sum numeric NOT NULL,
    openings_sum numeric NOT NULL,
    archived_at timestamp with time zone NOT NULL
);

-- Append-only: triggers refuse every change, and deletion within ninety days. Repeats are one row with a count.
CREATE TABLE public.audit_events (
    id uuid NOT NULL,
    kind character varying NOT NULL,
    what character varying,
    owner_id uuid,
    operator character varying,
    address character varying,
    request_id character varying,
    count bigint NOT NULL,
    first_at timestamp with time zone NOT NULL,
    last_at timestamp with time zone NOT NULL,
    facts jsonb NOT NULL,
    CONSTRAINT ck_audit_events_count_positive CHECK ((count > 0))
);

-- Closed while `open_until` is null. Open until that time (UTC); afterwards half open, until the bank answers.
CREATE TABLE public.bank_circuits (
    bank character varying NOT NULL,
    failures bigint NOT NULL,
    open_until timestamp with time zone,
    probe_until timestamp with time zone,
    changed_at timestamp with time zone NOT NULL,
    CONSTRAINT ck_bank_circuits_failures_not_negative CHECK ((failures >= 0))
);

-- Written at sign-up, deleted when the address is confirmed. An owner without a row counts as confirmed.
CREATE TABLE public.email_confirmations (
    owner_id uuid NOT NULL,
    address character varying NOT NULL,
    token_hash character varying NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    sent_at timestamp with time zone NOT NULL,
    counted_since timestamp with time zone NOT NULL,
    mails bigint NOT NULL,
    gift bigint
);

-- Append-only. `seq` has no gaps per account: a missing row is visible, and `seq` is the cursor of a statement.
CREATE TABLE public.entries (
    account_id uuid NOT NULL,
    seq bigint NOT NULL,
    transfer_id uuid NOT NULL,
    direction character varying NOT NULL,
    amount bigint NOT NULL,
    balance_after bigint NOT NULL,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT ck_entries_amount_positive CHECK ((amount > 0)),
    CONSTRAINT ck_entries_direction CHECK (((direction)::text = ANY ((ARRAY['DEBIT'::character varying, 'CREDIT'::character varying])::text[]))),
    CONSTRAINT ck_entries_seq_positive CHECK ((seq > 0))
);

-- Active until it is captured (becomes a transfer) or released. Each hold ends once.
CREATE TABLE public.holds (
    id uuid NOT NULL,
    account_id uuid NOT NULL,
    amount bigint NOT NULL,
    status character varying NOT NULL,
    transfer_id uuid,
    created_at timestamp with time zone NOT NULL,
    closed_at timestamp with time zone,
    CONSTRAINT ck_holds_amount_positive CHECK ((amount > 0)),
    CONSTRAINT ck_holds_captured_has_transfer CHECK ((((status)::text = 'captured'::text) = (transfer_id IS NOT NULL))),
    CONSTRAINT ck_holds_closed_when_not_active CHECK ((((status)::text = 'active'::text) = (closed_at IS NULL))),
    CONSTRAINT ck_holds_status CHECK (((status)::text = ANY ((ARRAY['active'::character varying, 'captured'::character varying, 'released'::character varying])::text[])))
);

-- Written in the transaction that moves the money. `status` is null while the request is in flight.
CREATE TABLE public.idempotency_keys (
    owner_id uuid NOT NULL,
    key character varying NOT NULL,
    fingerprint character varying NOT NULL,
    field_hashes jsonb NOT NULL,
    status bigint,
    body json,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT ck_idempotency_keys_answered_whole CHECK (((status IS NULL) = (body IS NULL))),
    CONSTRAINT ck_idempotency_keys_key_length CHECK (((length((key)::text) >= 1) AND (length((key)::text) <= 255)))
);

-- Payments to the account in fifteen minutes. The days of every time zone begin at such a boundary in UTC.
CREATE TABLE public.inflow_rollups (
    account_id uuid NOT NULL,
    quarter_start timestamp with time zone NOT NULL,
    amount bigint NOT NULL,
    payments bigint NOT NULL,
    CONSTRAINT ck_inflow_rollups_amount_positive CHECK ((amount > 0)),
    CONSTRAINT ck_inflow_rollups_payments_positive CHECK ((payments > 0)),
    CONSTRAINT ck_inflow_rollups_quarter CHECK ((mod(EXTRACT(epoch FROM quarter_start), (900)::numeric) = (0)::numeric))
);

-- The roll-ups contain every entry of the account up to `seq` and none above. A roll-up locks this row.
CREATE TABLE public.inflow_watermarks (
    account_id uuid NOT NULL,
    seq bigint NOT NULL,
    CONSTRAINT ck_inflow_watermarks_seq_not_negative CHECK ((seq >= 0))
);

-- What one process has to itself until `expires_at` (UTC, by the clock of Postgres).
CREATE TABLE public.leases (
    name character varying NOT NULL,
    holder character varying NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

-- The entries of one account that a seal covers: `first_seq` to `last_seq`, both included.
CREATE TABLE public.ledger_seal_ranges (
    seal_id bigint NOT NULL,
    account_id uuid NOT NULL,
    first_seq bigint NOT NULL,
    last_seq bigint NOT NULL,
    CONSTRAINT ck_ledger_seal_ranges_range CHECK (((1 <= first_seq) AND (first_seq <= last_seq)))
);

-- One link: the hash of the previous link and of every entry written since. Append-only.
CREATE TABLE public.ledger_seals (
    id bigint NOT NULL,
    previous_hash character varying NOT NULL,
    hash character varying NOT NULL,
    entry_count bigint NOT NULL,
    sealed_at timestamp with time zone NOT NULL,
    archives_through bigint DEFAULT '0'::bigint NOT NULL,
    CONSTRAINT ck_ledger_seals_id_positive CHECK ((id > 0))
);

-- Written by the worker in the transaction that deletes its messages, delivered later and at least once.
CREATE TABLE public.mails (
    id uuid NOT NULL,
    kind character varying NOT NULL,
    owner_id uuid NOT NULL,
    count bigint NOT NULL,
    amount bigint,
    kinds jsonb,
    newest jsonb NOT NULL,
    attempts bigint NOT NULL,
    next_attempt_at timestamp with time zone,
    sent_at timestamp with time zone,
    last_error character varying,
    created_at timestamp with time zone NOT NULL,
    closed_at timestamp with time zone
);

-- The profile of an owner of kind `merchant`.
CREATE TABLE public.merchants (
    id uuid NOT NULL,
    business_name character varying NOT NULL,
    category character varying,
    timezone character varying NOT NULL,
    search character varying
);

-- `pending` until the bank's server says what became of it.
CREATE TABLE public.on_ramps (
    id uuid NOT NULL,
    owner_id uuid NOT NULL,
    account_id uuid NOT NULL,
    bank character varying NOT NULL,
    amount bigint NOT NULL,
    currency character varying NOT NULL,
    status character varying NOT NULL,
    idempotency_key character varying NOT NULL,
    token character varying,
    redirect_url character varying,
    bank_reference character varying,
    failure_reason character varying,
    transfer_id uuid,
    is_late_success boolean NOT NULL,
    is_contradicted boolean NOT NULL,
    next_enquiry_at timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    settled_at timestamp with time zone,
    expires_at timestamp with time zone,
    cancel_requested_at timestamp with time zone,
    traceparent character varying,
    CONSTRAINT ck_on_ramps_amount_positive CHECK ((amount > 0)),
    CONSTRAINT ck_on_ramps_settled_when_not_pending CHECK ((((status)::text = 'pending'::text) = (settled_at IS NULL))),
    CONSTRAINT ck_on_ramps_status CHECK (((status)::text = ANY ((ARRAY['pending'::character varying, 'success'::character varying, 'failure'::character varying, 'expired'::character varying, 'cancelled'::character varying])::text[]))),
    CONSTRAINT ck_on_ramps_success_has_transfer CHECK ((((status)::text = 'success'::text) = (transfer_id IS NOT NULL)))
);

-- The entries of the account up to `seq` are archived. Only the schema's owner writes it, and it moves forward. A trigger takes all but `seq` and `seal_id` from the entries. No key refers to `accounts`: a payment would check it.
CREATE TABLE public.opening_balances (
    account_id uuid NOT NULL,
    seq bigint NOT NULL,
    balance bigint NOT NULL,
    last_entry_at timestamp with time zone NOT NULL,
    seal_id bigint NOT NULL,
    inflow_amounts numeric NOT NULL,
    inflow_payments numeric NOT NULL,
    changed_at timestamp with time zone NOT NULL
);

-- Append-only but for its end. Triggers write who and when, and refuse what one operator may not do alone.
CREATE TABLE public.operator_actions (
    id uuid NOT NULL,
    action character varying NOT NULL,
    subject_id uuid NOT NULL,
    arguments jsonb NOT NULL,
    reason character varying NOT NULL,
    proposed_by character varying NOT NULL,
    proposed_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone,
    decision character varying,
    decided_by character varying,
    decided_at timestamp with time zone,
    done_in character varying,
    outcome character varying,
    CONSTRAINT ck_operator_actions_action CHECK (((action)::text = ANY ((ARRAY['freeze'::character varying, 'park'::character varying, 'unfreeze'::character varying, 'resolve'::character varying, 'replay'::character varying, 'collect'::character varying, 'book_fee'::character varying])::text[]))),
    CONSTRAINT ck_operator_actions_decided_whole CHECK ((((decision IS NULL) = (decided_by IS NULL)) AND ((decision IS NULL) = (decided_at IS NULL)))),
    CONSTRAINT ck_operator_actions_decision CHECK (((decision)::text = ANY ((ARRAY['confirmed'::character varying, 'declined'::character varying])::text[]))),
    CONSTRAINT ck_operator_actions_done_if_confirmed CHECK (((expires_at IS NULL) OR ((done_in IS NOT NULL) = (NOT ((decision)::text IS DISTINCT FROM 'confirmed'::text))))),
    CONSTRAINT ck_operator_actions_two_operators CHECK ((((decided_by)::text <> (proposed_by)::text) OR ((decision)::text = 'declined'::text)))
);

-- Written in the caller's transaction, delivered later and at least once.
CREATE TABLE public.outbox_messages (
    id uuid NOT NULL,
    kind character varying NOT NULL,
    owner_id uuid NOT NULL,
    facts jsonb NOT NULL,
    attempts bigint NOT NULL,
    next_attempt_at timestamp with time zone,
    sent_at timestamp with time zone,
    last_error character varying,
    created_at timestamp with time zone NOT NULL,
    bundle_id uuid,
    closed_at timestamp with time zone
);

-- Credentials and identity; the profile is a `User` or a `Merchant` with the same id.
CREATE TABLE public.owners (
    id uuid NOT NULL,
    kind character varying NOT NULL,
    is_system boolean DEFAULT false NOT NULL,
    email character varying NOT NULL,
    password_hash character varying NOT NULL,
    pin_hash character varying NOT NULL,
    tokens_valid_after timestamp with time zone,
    kept_token_id uuid,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT ck_owners_email_lowercase CHECK (((email)::text = lower((email)::text))),
    CONSTRAINT ck_owners_kind CHECK (((kind)::text = ANY ((ARRAY['user'::character varying, 'merchant'::character varying])::text[])))
);

-- Committed in its own transaction, so that the refusal of the request does not roll it back.
CREATE TABLE public.pin_failures (
    id uuid NOT NULL,
    owner_id uuid NOT NULL,
    failed_at timestamp with time zone NOT NULL
);

-- Without a result it is under way, or its process died: then it counts neither as passed nor as failed.
CREATE TABLE public.proof_runs (
    id uuid NOT NULL,
    kind character varying NOT NULL,
    started_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone,
    result character varying,
    findings jsonb DEFAULT '[]'::jsonb NOT NULL,
    banks character varying[] DEFAULT '{}'::character varying[] NOT NULL,
    transfers bigint DEFAULT '0'::bigint NOT NULL,
    transfers_through uuid,
    accounts_through uuid,
    superseded_by uuid,
    alerted_at timestamp with time zone,
    CONSTRAINT ck_proof_runs_finished_with_result CHECK (((result IS NULL) = (finished_at IS NULL))),
    CONSTRAINT ck_proof_runs_kind CHECK (((kind)::text = ANY ((ARRAY['quick'::character varying, 'whole'::character varying])::text[]))),
    CONSTRAINT ck_proof_runs_result CHECK (((result)::text = ANY ((ARRAY['passed'::character varying, 'failed'::character varying])::text[])))
);

-- Stored once per bank, kind and reference. A later run that no longer finds it resolves it.
CREATE TABLE public.reconciliation_findings (
    id uuid NOT NULL,
    bank character varying NOT NULL,
    kind character varying NOT NULL,
    reference character varying NOT NULL,
    our_amount bigint,
    bank_amount bigint,
    transfer_id uuid,
    found_at timestamp with time zone NOT NULL,
    resolved_at timestamp with time zone,
    CONSTRAINT ck_reconciliation_findings_kind CHECK (((kind)::text = ANY ((ARRAY['missing_at_bank'::character varying, 'missing_here'::character varying, 'amount_differs'::character varying, 'unmatched_credit'::character varying])::text[])))
);

-- Begun by an operator once the database is restored, and finished when the banks' books and ours agree again.
CREATE TABLE public.recoveries (
    id uuid NOT NULL,
    restored_to timestamp with time zone NOT NULL,
    begun_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone,
    CONSTRAINT ck_recoveries_restored_to_the_past CHECK ((restored_to <= begun_at))
);

-- Written by an operator, deleted when it is used. Of all services, only user_app can read this table.
CREATE TABLE public.recovery_codes (
    owner_id uuid NOT NULL,
    code_hash character varying NOT NULL
);

-- One row per reversed transfer, so that Postgres itself rejects a refund beyond the payment. Only a trigger on `transfers` writes here.
CREATE TABLE public.reversed_totals (
    transfer_id uuid NOT NULL,
    amount bigint NOT NULL,
    reversed bigint NOT NULL,
    CONSTRAINT ck_reversed_totals_reversed_positive CHECK ((reversed > 0)),
    CONSTRAINT ck_reversed_totals_reversed_within_amount CHECK ((reversed <= amount))
);

-- Kept until the token would have expired by itself.
CREATE TABLE public.revoked_tokens (
    id uuid NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

-- A regular task, by its name in the schedule.
CREATE TABLE public.scheduled_tasks (
    name character varying NOT NULL,
    counted_from timestamp with time zone NOT NULL
);

-- An operator enrols it. Of all services, only user_app can read this table.
CREATE TABLE public.second_factors (
    owner_id uuid NOT NULL,
    sealed_secret character varying NOT NULL,
    last_step bigint DEFAULT 0 NOT NULL,
    created_at timestamp with time zone NOT NULL
);

-- Append-only: triggers refuse UPDATE, DELETE and TRUNCATE.
CREATE TABLE public.transfers (
    id uuid NOT NULL,
    kind character varying NOT NULL,
    debit_account_id uuid NOT NULL,
    credit_account_id uuid NOT NULL,
    amount bigint NOT NULL,
    currency character varying NOT NULL,
    note character varying,
    initiated_by uuid,
    reverses uuid,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT ck_transfers_amount_positive CHECK ((amount > 0)),
    CONSTRAINT ck_transfers_kind CHECK (((kind)::text = ANY ((ARRAY['p2p'::character varying, 'payment'::character varying, 'onramp'::character varying, 'payout'::character varying, 'payout_reversal'::character varying, 'funding'::character varying, 'adjustment'::character varying, 'refund'::character varying])::text[]))),
    CONSTRAINT ck_transfers_two_accounts CHECK ((debit_account_id <> credit_account_id))
);

-- The profile of an owner of kind `user`.
CREATE TABLE public.users (
    id uuid NOT NULL,
    first_name character varying NOT NULL,
    last_name character varying NOT NULL,
    search character varying
);

-- A row of `webhook_inbox`: one per bank and webhook-id.
CREATE TABLE public.webhook_inbox (
    id uuid NOT NULL,
    bank character varying NOT NULL,
    webhook_id character varying NOT NULL,
    payload jsonb NOT NULL,
    verdict character varying NOT NULL,
    on_ramp_id uuid,
    withdrawal_id uuid,
    received_at timestamp with time zone NOT NULL,
    CONSTRAINT ck_webhook_inbox_verdict CHECK (((verdict)::text = ANY ((ARRAY['settled'::character varying, 'noted'::character varying, 'duplicate'::character varying, 'unknown_token'::character varying, 'unknown_reference'::character varying, 'amount_mismatch'::character varying, 'user_mismatch'::character varying, 'contradiction'::character varying])::text[])))
);

-- One step of a withdrawal, shown to its owner as a timeline. Append-only.
CREATE TABLE public.withdrawal_events (
    withdrawal_id uuid NOT NULL,
    seq bigint NOT NULL,
    status character varying NOT NULL,
    kind character varying NOT NULL,
    facts jsonb NOT NULL,
    at timestamp with time zone NOT NULL,
    CONSTRAINT ck_withdrawal_events_status CHECK (((status)::text = ANY ((ARRAY['queued'::character varying, 'in_flight'::character varying, 'waiting'::character varying, 'unknown'::character varying, 'needs_review'::character varying, 'succeeded'::character varying, 'failed'::character varying, 'cancelled'::character varying, 'reversed'::character varying])::text[])))
);

-- The rows are the queue; a Celery message is only a hint to look at them.
CREATE TABLE public.withdrawals (
    id uuid NOT NULL,
    owner_id uuid NOT NULL,
    account_id uuid NOT NULL,
    bank character varying NOT NULL,
    account_number character varying NOT NULL,
    ifsc character varying NOT NULL,
    account_holder character varying NOT NULL,
    amount bigint NOT NULL,
    currency character varying NOT NULL,
    status character varying NOT NULL,
    hold_id uuid NOT NULL,
    transfer_id uuid,
    reversal_transfer_id uuid,
    utr character varying,
    failure_reason character varying,
    attempts bigint NOT NULL,
    retries bigint DEFAULT 0 NOT NULL,
    lease_id uuid,
    lease_expires_at timestamp with time zone,
    next_attempt_at timestamp with time zone,
    first_not_found_at timestamp with time zone,
    active_since timestamp with time zone,
    created_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone,
    account_number_encrypted character varying,
    account_number_index character varying,
    ask_bank_first boolean DEFAULT false NOT NULL,
    traceparent character varying,
    CONSTRAINT ck_withdrawals_amount_positive CHECK ((amount > 0)),
    CONSTRAINT ck_withdrawals_finished_when_final CHECK ((((status)::text = ANY ((ARRAY['succeeded'::character varying, 'failed'::character varying, 'cancelled'::character varying, 'reversed'::character varying])::text[])) = (finished_at IS NOT NULL))),
    CONSTRAINT ck_withdrawals_lease_whole CHECK (((lease_id IS NULL) = (lease_expires_at IS NULL))),
    CONSTRAINT ck_withdrawals_number_encrypted_whole CHECK ((((account_number_encrypted IS NULL) = (account_number_index IS NULL)) AND ((account_number_encrypted IS NULL) OR ((account_number)::text ~ '^X{6}[0-9]{4}$'::text)))),
    CONSTRAINT ck_withdrawals_paid_has_transfer CHECK ((((status)::text = ANY ((ARRAY['succeeded'::character varying, 'reversed'::character varying])::text[])) = (transfer_id IS NOT NULL))),
    CONSTRAINT ck_withdrawals_reversed_has_transfer CHECK ((((status)::text = 'reversed'::text) = (reversal_transfer_id IS NOT NULL))),
    CONSTRAINT ck_withdrawals_status CHECK (((status)::text = ANY ((ARRAY['queued'::character varying, 'in_flight'::character varying, 'waiting'::character varying, 'unknown'::character varying, 'needs_review'::character varying, 'succeeded'::character varying, 'failed'::character varying, 'cancelled'::character varying, 'reversed'::character varying])::text[])))
);

ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT pk_accounts PRIMARY KEY (id);

ALTER TABLE ONLY public.archived_seals
    ADD CONSTRAINT pk_archived_seals PRIMARY KEY (seal_id);

ALTER TABLE ONLY public.audit_events
    ADD CONSTRAINT pk_audit_events PRIMARY KEY (id);

ALTER TABLE ONLY public.bank_circuits
    ADD CONSTRAINT pk_bank_circuits PRIMARY KEY (bank);

ALTER TABLE ONLY public.email_confirmations
    ADD CONSTRAINT pk_email_confirmations PRIMARY KEY (owner_id);

ALTER TABLE ONLY public.entries
    ADD CONSTRAINT pk_entries PRIMARY KEY (account_id, seq);

ALTER TABLE ONLY public.holds
    ADD CONSTRAINT pk_holds PRIMARY KEY (id);

ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT pk_idempotency_keys PRIMARY KEY (owner_id, key);

ALTER TABLE ONLY public.inflow_rollups
    ADD CONSTRAINT pk_inflow_rollups PRIMARY KEY (account_id, quarter_start);

ALTER TABLE ONLY public.inflow_watermarks
    ADD CONSTRAINT pk_inflow_watermarks PRIMARY KEY (account_id);

ALTER TABLE ONLY public.leases
    ADD CONSTRAINT pk_leases PRIMARY KEY (name);

ALTER TABLE ONLY public.ledger_seal_ranges
    ADD CONSTRAINT pk_ledger_seal_ranges PRIMARY KEY (seal_id, account_id);

ALTER TABLE ONLY public.ledger_seals
    ADD CONSTRAINT pk_ledger_seals PRIMARY KEY (id);

ALTER TABLE ONLY public.mails
    ADD CONSTRAINT pk_mails PRIMARY KEY (id);

ALTER TABLE ONLY public.merchants
    ADD CONSTRAINT pk_merchants PRIMARY KEY (id);

ALTER TABLE ONLY public.on_ramps
    ADD CONSTRAINT pk_on_ramps PRIMARY KEY (id);

ALTER TABLE ONLY public.opening_balances
    ADD CONSTRAINT pk_opening_balances PRIMARY KEY (account_id);

ALTER TABLE ONLY public.operator_actions
    ADD CONSTRAINT pk_operator_actions PRIMARY KEY (id);

ALTER TABLE ONLY public.outbox_messages
    ADD CONSTRAINT pk_outbox_messages PRIMARY KEY (id);

ALTER TABLE ONLY public.owners
    ADD CONSTRAINT pk_owners PRIMARY KEY (id);

ALTER TABLE ONLY public.pin_failures
    ADD CONSTRAINT pk_pin_failures PRIMARY KEY (id);

ALTER TABLE ONLY public.proof_runs
    ADD CONSTRAINT pk_proof_runs PRIMARY KEY (id);

ALTER TABLE ONLY public.reconciliation_findings
    ADD CONSTRAINT pk_reconciliation_findings PRIMARY KEY (id);

ALTER TABLE ONLY public.recoveries
    ADD CONSTRAINT pk_recoveries PRIMARY KEY (id);

ALTER TABLE ONLY public.recovery_codes
    ADD CONSTRAINT pk_recovery_codes PRIMARY KEY (owner_id, code_hash);

ALTER TABLE ONLY public.reversed_totals
    ADD CONSTRAINT pk_reversed_totals PRIMARY KEY (transfer_id);

ALTER TABLE ONLY public.revoked_tokens
    ADD CONSTRAINT pk_revoked_tokens PRIMARY KEY (id);

ALTER TABLE ONLY public.scheduled_tasks
    ADD CONSTRAINT pk_scheduled_tasks PRIMARY KEY (name);

ALTER TABLE ONLY public.second_factors
    ADD CONSTRAINT pk_second_factors PRIMARY KEY (owner_id);

ALTER TABLE ONLY public.transfers
    ADD CONSTRAINT pk_transfers PRIMARY KEY (id);

ALTER TABLE ONLY public.users
    ADD CONSTRAINT pk_users PRIMARY KEY (id);

ALTER TABLE ONLY public.webhook_inbox
    ADD CONSTRAINT pk_webhook_inbox PRIMARY KEY (id);

ALTER TABLE ONLY public.withdrawal_events
    ADD CONSTRAINT pk_withdrawal_events PRIMARY KEY (withdrawal_id, seq);

ALTER TABLE ONLY public.withdrawals
    ADD CONSTRAINT pk_withdrawals PRIMARY KEY (id);

ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT uq_accounts_handle UNIQUE (handle);

ALTER TABLE ONLY public.email_confirmations
    ADD CONSTRAINT uq_email_confirmations_token_hash UNIQUE (token_hash);

ALTER TABLE ONLY public.entries
    ADD CONSTRAINT uq_entries_transfer_id_direction UNIQUE (transfer_id, direction);

ALTER TABLE ONLY public.holds
    ADD CONSTRAINT uq_holds_transfer_id UNIQUE (transfer_id);

ALTER TABLE ONLY public.ledger_seal_ranges
    ADD CONSTRAINT uq_ledger_seal_ranges_account_id_first_seq UNIQUE (account_id, first_seq);

ALTER TABLE ONLY public.on_ramps
    ADD CONSTRAINT uq_on_ramps_bank_token UNIQUE (bank, token);

ALTER TABLE ONLY public.on_ramps
    ADD CONSTRAINT uq_on_ramps_transfer_id UNIQUE (transfer_id);

ALTER TABLE ONLY public.owners
    ADD CONSTRAINT uq_owners_kind_email UNIQUE (kind, email);

ALTER TABLE ONLY public.reconciliation_findings
    ADD CONSTRAINT uq_reconciliation_findings_bank_kind_reference UNIQUE (bank, kind, reference);

ALTER TABLE ONLY public.webhook_inbox
    ADD CONSTRAINT uq_webhook_inbox_bank_webhook_id UNIQUE (bank, webhook_id);

ALTER TABLE ONLY public.withdrawals
    ADD CONSTRAINT uq_withdrawals_hold_id UNIQUE (hold_id);

ALTER TABLE ONLY public.withdrawals
    ADD CONSTRAINT uq_withdrawals_reversal_transfer_id UNIQUE (reversal_transfer_id);

ALTER TABLE ONLY public.withdrawals
    ADD CONSTRAINT uq_withdrawals_transfer_id UNIQUE (transfer_id);

CREATE INDEX ix_accounts_frozen ON public.accounts USING btree (id) WHERE (frozen_at IS NOT NULL);

CREATE INDEX ix_accounts_merchants ON public.accounts USING btree (id) WHERE ((kind)::text = 'merchant'::text);

CREATE INDEX ix_accounts_owner_id ON public.accounts USING btree (owner_id);

CREATE INDEX ix_accounts_wallet_id_search ON public.accounts USING gin (public.search_grams(split_part((handle)::text, '@'::text, 1))) WHERE ((kind)::text = 'wallet'::text);

CREATE INDEX ix_audit_events_owner_id_id ON public.audit_events USING btree (owner_id, id) WHERE (owner_id IS NOT NULL);

CREATE INDEX ix_entries_account_id_created_at_seq ON public.entries USING btree (account_id, created_at, seq);

CREATE INDEX ix_holds_active ON public.holds USING btree (account_id) WHERE ((status)::text = 'active'::text);

CREATE INDEX ix_idempotency_keys_created_at ON public.idempotency_keys USING btree (created_at);

CREATE INDEX ix_mails_bundles_of ON public.mails USING btree (owner_id, closed_at) WHERE (amount IS NOT NULL);

CREATE INDEX ix_mails_due ON public.mails USING btree (next_attempt_at) WHERE (next_attempt_at IS NOT NULL);

CREATE INDEX ix_on_ramps_owner_id_id ON public.on_ramps USING btree (owner_id, id);

CREATE INDEX ix_on_ramps_owner_id_idempotency_key ON public.on_ramps USING btree (owner_id, idempotency_key);

CREATE INDEX ix_on_ramps_pending ON public.on_ramps USING btree (next_enquiry_at) WHERE ((status)::text = 'pending'::text);

CREATE INDEX ix_opening_balances_seal_id ON public.opening_balances USING btree (seal_id);

CREATE INDEX ix_operator_actions_open ON public.operator_actions USING btree (expires_at) WHERE (decision IS NULL);

CREATE INDEX ix_operator_actions_subject_id ON public.operator_actions USING btree (subject_id);

CREATE INDEX ix_outbox_messages_bundle ON public.outbox_messages USING btree (bundle_id) WHERE ((bundle_id IS NOT NULL) AND (sent_at IS NULL));

CREATE INDEX ix_outbox_messages_bundles_of ON public.outbox_messages USING btree (owner_id, closed_at) WHERE (bundle_id = id);

CREATE INDEX ix_outbox_messages_due ON public.outbox_messages USING btree (next_attempt_at) WHERE (next_attempt_at IS NOT NULL);

CREATE INDEX ix_pin_failures_owner_id_failed_at ON public.pin_failures USING btree (owner_id, failed_at);

CREATE INDEX ix_proof_runs_finished ON public.proof_runs USING btree (kind, finished_at) WHERE (finished_at IS NOT NULL);

CREATE INDEX ix_proof_runs_passed ON public.proof_runs USING btree (transfers_through) WHERE ((result)::text = 'passed'::text);

CREATE INDEX ix_proof_runs_standing ON public.proof_runs USING btree (started_at) WHERE (((result)::text = 'failed'::text) AND (superseded_by IS NULL));

CREATE INDEX ix_proof_runs_started_at ON public.proof_runs USING btree (started_at);

CREATE INDEX ix_revoked_tokens_expires_at ON public.revoked_tokens USING btree (expires_at);

CREATE INDEX ix_transfers_refunds ON public.transfers USING btree (debit_account_id, created_at) INCLUDE (amount) WHERE ((kind)::text = 'refund'::text);

CREATE INDEX ix_transfers_reverses ON public.transfers USING btree (reverses) WHERE (reverses IS NOT NULL);

CREATE INDEX ix_users_search ON public.users USING gin (public.search_grams((search)::text));

CREATE INDEX ix_withdrawals_due ON public.withdrawals USING btree (next_attempt_at) WHERE ((status)::text = ANY ((ARRAY['in_flight'::character varying, 'waiting'::character varying, 'unknown'::character varying, 'needs_review'::character varying])::text[]));

CREATE INDEX ix_withdrawals_owner_id_id ON public.withdrawals USING btree (owner_id, id);

CREATE INDEX ix_withdrawals_queue ON public.withdrawals USING btree (bank, id) WHERE ((status)::text = 'queued'::text);

CREATE INDEX ix_withdrawals_queued ON public.withdrawals USING btree (owner_id, id) WHERE ((status)::text = 'queued'::text);

CREATE UNIQUE INDEX uq_accounts_one_wallet_per_owner ON public.accounts USING btree (owner_id) WHERE ((kind)::text = ANY ((ARRAY['wallet'::character varying, 'merchant'::character varying])::text[]));

CREATE UNIQUE INDEX uq_accounts_open_pot_name ON public.accounts USING btree (owner_id, name) WHERE (((kind)::text = 'pot'::text) AND (closed_at IS NULL));

CREATE UNIQUE INDEX uq_accounts_system ON public.accounts USING btree (kind, name) WHERE (owner_id IS NULL);

CREATE UNIQUE INDEX uq_operator_actions_parked_debit ON public.operator_actions USING btree (subject_id) WHERE ((done_in IS NOT NULL) AND ((action)::text = ANY ((ARRAY['collect'::character varying, 'book_fee'::character varying])::text[])));

CREATE UNIQUE INDEX uq_recoveries_one_unfinished ON public.recoveries USING btree (((finished_at IS NULL))) WHERE (finished_at IS NULL);

CREATE UNIQUE INDEX uq_withdrawals_one_active_per_owner ON public.withdrawals USING btree (owner_id) WHERE ((status)::text = ANY ((ARRAY['in_flight'::character varying, 'waiting'::character varying, 'unknown'::character varying, 'needs_review'::character varying])::text[]));

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.archived_seals FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE UPDATE OR TRUNCATE ON public.audit_events FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE UPDATE OR TRUNCATE ON public.entries FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.ledger_seal_ranges FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.ledger_seals FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON public.opening_balances FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON public.operator_actions FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.transfers FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE TRUNCATE ON public.webhook_inbox FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.withdrawal_events FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE CONSTRAINT TRIGGER check_new_on_ramp AFTER INSERT ON public.on_ramps DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN ((new.transfer_id IS NOT NULL)) EXECUTE FUNCTION public.check_on_ramp();

CREATE CONSTRAINT TRIGGER check_new_withdrawal AFTER INSERT ON public.withdrawals DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (true) EXECUTE FUNCTION public.check_withdrawal();

CREATE CONSTRAINT TRIGGER check_on_ramp AFTER UPDATE ON public.on_ramps DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (((new.transfer_id IS NOT NULL) OR (old.transfer_id IS NOT NULL))) EXECUTE FUNCTION public.check_on_ramp();

CREATE CONSTRAINT TRIGGER check_on_ramp AFTER INSERT ON public.transfers DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (((new.kind)::text = 'onramp'::text)) EXECUTE FUNCTION public.check_on_ramp();

CREATE CONSTRAINT TRIGGER check_parked_debit AFTER UPDATE ON public.operator_actions DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (((new.done_in IS NOT NULL) AND ((new.action)::text = ANY ((ARRAY['collect'::character varying, 'book_fee'::character varying])::text[])))) EXECUTE FUNCTION public.check_parked_debit();

CREATE CONSTRAINT TRIGGER check_transfer AFTER INSERT ON public.transfers DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (((new.reverses IS NOT NULL) OR ((new.kind)::text = ANY ((ARRAY['refund'::character varying, 'funding'::character varying, 'adjustment'::character varying])::text[])))) EXECUTE FUNCTION public.check_transfer();

CREATE CONSTRAINT TRIGGER check_withdrawal AFTER INSERT OR UPDATE ON public.holds DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (true) EXECUTE FUNCTION public.check_withdrawal();

CREATE CONSTRAINT TRIGGER check_withdrawal AFTER INSERT ON public.transfers DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (((new.kind)::text = ANY ((ARRAY['payout'::character varying, 'payout_reversal'::character varying])::text[]))) EXECUTE FUNCTION public.check_withdrawal();

CREATE CONSTRAINT TRIGGER check_withdrawal AFTER UPDATE ON public.withdrawals DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (((((old.status)::text IS DISTINCT FROM (new.status)::text) OR (old.transfer_id IS DISTINCT FROM new.transfer_id)) OR (old.reversal_transfer_id IS DISTINCT FROM new.reversal_transfer_id))) EXECUTE FUNCTION public.check_withdrawal();

CREATE TRIGGER count_reversal AFTER INSERT ON public.transfers FOR EACH ROW WHEN ((new.reverses IS NOT NULL)) EXECUTE FUNCTION public.count_reversal();

CREATE TRIGGER guard_operator AFTER UPDATE OF frozen_at ON public.accounts FOR EACH ROW WHEN (((SESSION_USER)::text <> ALL (ARRAY['user_app'::text, 'merchant_app'::text, 'bank_webhook'::text, 'withdraw_worker'::text]))) EXECUTE FUNCTION public.guard_operator();

CREATE TRIGGER guard_operator AFTER UPDATE ON public.on_ramps FOR EACH ROW WHEN (((SESSION_USER)::text <> ALL (ARRAY['user_app'::text, 'merchant_app'::text, 'bank_webhook'::text, 'withdraw_worker'::text]))) EXECUTE FUNCTION public.guard_operator();

CREATE TRIGGER guard_operator AFTER UPDATE ON public.webhook_inbox FOR EACH ROW WHEN (((SESSION_USER)::text <> ALL (ARRAY['user_app'::text, 'merchant_app'::text, 'bank_webhook'::text, 'withdraw_worker'::text]))) EXECUTE FUNCTION public.guard_operator();

CREATE TRIGGER guard_operator AFTER UPDATE ON public.withdrawals FOR EACH ROW WHEN (((SESSION_USER)::text <> ALL (ARRAY['user_app'::text, 'merchant_app'::text, 'bank_webhook'::text, 'withdraw_worker'::text]))) EXECUTE FUNCTION public.guard_operator();

CREATE TRIGGER keep_archived_seal BEFORE INSERT ON public.archived_seals FOR EACH ROW EXECUTE FUNCTION public.keep_archived_seal();

CREATE TRIGGER keep_entry BEFORE DELETE ON public.entries FOR EACH ROW EXECUTE FUNCTION public.keep_entry();

CREATE TRIGGER keep_five_years BEFORE DELETE ON public.webhook_inbox FOR EACH ROW WHEN ((old.received_at > (now() - '5 years'::interval))) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER keep_ninety_days BEFORE DELETE ON public.audit_events FOR EACH ROW WHEN ((old.last_at > (now() - '90 days'::interval))) EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER keep_opening_balance BEFORE INSERT OR UPDATE ON public.opening_balances FOR EACH ROW EXECUTE FUNCTION public.keep_opening_balance();

CREATE TRIGGER keep_operator_action BEFORE INSERT OR UPDATE ON public.operator_actions FOR EACH ROW EXECUTE FUNCTION public.keep_operator_action();

CREATE TRIGGER name_operator BEFORE INSERT ON public.audit_events FOR EACH ROW WHEN (((SESSION_USER)::text <> ALL (ARRAY['user_app'::text, 'merchant_app'::text, 'bank_webhook'::text, 'withdraw_worker'::text]))) EXECUTE FUNCTION public.name_operator();

CREATE TRIGGER never_deleted BEFORE DELETE OR TRUNCATE ON public.reversed_totals FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_direct_write();

CREATE TRIGGER spelled BEFORE INSERT OR UPDATE OF business_name, category ON public.merchants FOR EACH ROW EXECUTE FUNCTION public.spell_merchants();

CREATE TRIGGER spelled BEFORE INSERT OR UPDATE OF first_name, last_name ON public.users FOR EACH ROW EXECUTE FUNCTION public.spell_users();

CREATE TRIGGER written_by_trigger BEFORE INSERT OR UPDATE ON public.reversed_totals FOR EACH STATEMENT WHEN ((pg_trigger_depth() = 0)) EXECUTE FUNCTION public.refuse_direct_write();

ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT fk_accounts_owner_id_owners FOREIGN KEY (owner_id) REFERENCES public.owners(id);

ALTER TABLE ONLY public.archived_seals
    ADD CONSTRAINT fk_archived_seals_seal_id_ledger_seals FOREIGN KEY (seal_id) REFERENCES public.ledger_seals(id);

ALTER TABLE ONLY public.email_confirmations
    ADD CONSTRAINT fk_email_confirmations_owner_id_owners FOREIGN KEY (owner_id) REFERENCES public.owners(id);

ALTER TABLE ONLY public.entries
    ADD CONSTRAINT fk_entries_account_id_accounts FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.entries
    ADD CONSTRAINT fk_entries_transfer_id_transfers FOREIGN KEY (transfer_id) REFERENCES public.transfers(id);

ALTER TABLE ONLY public.holds
    ADD CONSTRAINT fk_holds_account_id_accounts FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.holds
    ADD CONSTRAINT fk_holds_transfer_id_transfers FOREIGN KEY (transfer_id) REFERENCES public.transfers(id);

ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT fk_idempotency_keys_owner_id_owners FOREIGN KEY (owner_id) REFERENCES public.owners(id);

ALTER TABLE ONLY public.inflow_rollups
    ADD CONSTRAINT fk_inflow_rollups_account_id_inflow_watermarks FOREIGN KEY (account_id) REFERENCES public.inflow_watermarks(account_id);

ALTER TABLE ONLY public.inflow_watermarks
    ADD CONSTRAINT fk_inflow_watermarks_account_id_accounts FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.ledger_seal_ranges
    ADD CONSTRAINT fk_ledger_seal_ranges_account_id_accounts FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.ledger_seal_ranges
    ADD CONSTRAINT fk_ledger_seal_ranges_seal_id_ledger_seals FOREIGN KEY (seal_id) REFERENCES public.ledger_seals(id) DEFERRABLE INITIALLY DEFERRED;

ALTER TABLE ONLY public.merchants
    ADD CONSTRAINT fk_merchants_id_owners FOREIGN KEY (id) REFERENCES public.owners(id);

ALTER TABLE ONLY public.on_ramps
    ADD CONSTRAINT fk_on_ramps_account_id_accounts FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.on_ramps
    ADD CONSTRAINT fk_on_ramps_owner_id_owners FOREIGN KEY (owner_id) REFERENCES public.owners(id);

ALTER TABLE ONLY public.on_ramps
    ADD CONSTRAINT fk_on_ramps_transfer_id_transfers FOREIGN KEY (transfer_id) REFERENCES public.transfers(id);

ALTER TABLE ONLY public.opening_balances
    ADD CONSTRAINT fk_opening_balances_seal_id_ledger_seal_ranges FOREIGN KEY (seal_id, account_id) REFERENCES public.ledger_seal_ranges(seal_id, account_id);

ALTER TABLE ONLY public.pin_failures
    ADD CONSTRAINT fk_pin_failures_owner_id_owners FOREIGN KEY (owner_id) REFERENCES public.owners(id);

ALTER TABLE ONLY public.recovery_codes
    ADD CONSTRAINT fk_recovery_codes_owner_id_owners FOREIGN KEY (owner_id) REFERENCES public.owners(id);

ALTER TABLE ONLY public.reversed_totals
    ADD CONSTRAINT fk_reversed_totals_transfer_id_transfers FOREIGN KEY (transfer_id) REFERENCES public.transfers(id);

ALTER TABLE ONLY public.second_factors
    ADD CONSTRAINT fk_second_factors_owner_id_owners FOREIGN KEY (owner_id) REFERENCES public.owners(id);

ALTER TABLE ONLY public.transfers
    ADD CONSTRAINT fk_transfers_credit_account_id_accounts FOREIGN KEY (credit_account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.transfers
    ADD CONSTRAINT fk_transfers_debit_account_id_accounts FOREIGN KEY (debit_account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.transfers
    ADD CONSTRAINT fk_transfers_initiated_by_owners FOREIGN KEY (initiated_by) REFERENCES public.owners(id);

ALTER TABLE ONLY public.transfers
    ADD CONSTRAINT fk_transfers_reverses_transfers FOREIGN KEY (reverses) REFERENCES public.transfers(id);

ALTER TABLE ONLY public.users
    ADD CONSTRAINT fk_users_id_owners FOREIGN KEY (id) REFERENCES public.owners(id);

ALTER TABLE ONLY public.webhook_inbox
    ADD CONSTRAINT fk_webhook_inbox_on_ramp_id_on_ramps FOREIGN KEY (on_ramp_id) REFERENCES public.on_ramps(id);

ALTER TABLE ONLY public.webhook_inbox
    ADD CONSTRAINT fk_webhook_inbox_withdrawal_id_withdrawals FOREIGN KEY (withdrawal_id) REFERENCES public.withdrawals(id);

ALTER TABLE ONLY public.withdrawal_events
    ADD CONSTRAINT fk_withdrawal_events_withdrawal_id_withdrawals FOREIGN KEY (withdrawal_id) REFERENCES public.withdrawals(id);

ALTER TABLE ONLY public.withdrawals
    ADD CONSTRAINT fk_withdrawals_account_id_accounts FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.withdrawals
    ADD CONSTRAINT fk_withdrawals_hold_id_holds FOREIGN KEY (hold_id) REFERENCES public.holds(id);

ALTER TABLE ONLY public.withdrawals
    ADD CONSTRAINT fk_withdrawals_owner_id_owners FOREIGN KEY (owner_id) REFERENCES public.owners(id);

ALTER TABLE ONLY public.withdrawals
    ADD CONSTRAINT fk_withdrawals_reversal_transfer_id_transfers FOREIGN KEY (reversal_transfer_id) REFERENCES public.transfers(id);

ALTER TABLE ONLY public.withdrawals
    ADD CONSTRAINT fk_withdrawals_transfer_id_transfers FOREIGN KEY (transfer_id) REFERENCES public.transfers(id);
