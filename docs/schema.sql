-- The schema of Batua, made from shared/migrations by `make docs`. Amounts are paise, times are UTC.

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

-- Closed while `open_until` is null. Open until that time (UTC); afterwards half open, until the bank answers.
CREATE TABLE public.bank_circuits (
    bank character varying NOT NULL,
    failures bigint NOT NULL,
    open_until timestamp with time zone,
    probe_until timestamp with time zone,
    changed_at timestamp with time zone NOT NULL,
    CONSTRAINT ck_bank_circuits_failures_not_negative CHECK ((failures >= 0))
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
    CONSTRAINT ck_ledger_seals_id_positive CHECK ((id > 0))
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
    CONSTRAINT ck_on_ramps_amount_positive CHECK ((amount > 0)),
    CONSTRAINT ck_on_ramps_settled_when_not_pending CHECK ((((status)::text = 'pending'::text) = (settled_at IS NULL))),
    CONSTRAINT ck_on_ramps_status CHECK (((status)::text = ANY ((ARRAY['pending'::character varying, 'success'::character varying, 'failure'::character varying, 'expired'::character varying, 'cancelled'::character varying])::text[]))),
    CONSTRAINT ck_on_ramps_success_has_transfer CHECK ((((status)::text = 'success'::text) = (transfer_id IS NOT NULL)))
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
    CONSTRAINT ck_withdrawals_amount_positive CHECK ((amount > 0)),
    CONSTRAINT ck_withdrawals_finished_when_final CHECK ((((status)::text = ANY ((ARRAY['succeeded'::character varying, 'failed'::character varying, 'cancelled'::character varying, 'reversed'::character varying])::text[])) = (finished_at IS NOT NULL))),
    CONSTRAINT ck_withdrawals_lease_whole CHECK (((lease_id IS NULL) = (lease_expires_at IS NULL))),
    CONSTRAINT ck_withdrawals_paid_has_transfer CHECK ((((status)::text = ANY ((ARRAY['succeeded'::character varying, 'reversed'::character varying])::text[])) = (transfer_id IS NOT NULL))),
    CONSTRAINT ck_withdrawals_reversed_has_transfer CHECK ((((status)::text = 'reversed'::text) = (reversal_transfer_id IS NOT NULL))),
    CONSTRAINT ck_withdrawals_status CHECK (((status)::text = ANY ((ARRAY['queued'::character varying, 'in_flight'::character varying, 'waiting'::character varying, 'unknown'::character varying, 'needs_review'::character varying, 'succeeded'::character varying, 'failed'::character varying, 'cancelled'::character varying, 'reversed'::character varying])::text[])))
);

ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT pk_accounts PRIMARY KEY (id);

ALTER TABLE ONLY public.bank_circuits
    ADD CONSTRAINT pk_bank_circuits PRIMARY KEY (bank);

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

ALTER TABLE ONLY public.ledger_seal_ranges
    ADD CONSTRAINT pk_ledger_seal_ranges PRIMARY KEY (seal_id, account_id);

ALTER TABLE ONLY public.ledger_seals
    ADD CONSTRAINT pk_ledger_seals PRIMARY KEY (id);

ALTER TABLE ONLY public.merchants
    ADD CONSTRAINT pk_merchants PRIMARY KEY (id);

ALTER TABLE ONLY public.on_ramps
    ADD CONSTRAINT pk_on_ramps PRIMARY KEY (id);

ALTER TABLE ONLY public.outbox_messages
    ADD CONSTRAINT pk_outbox_messages PRIMARY KEY (id);

ALTER TABLE ONLY public.owners
    ADD CONSTRAINT pk_owners PRIMARY KEY (id);

ALTER TABLE ONLY public.pin_failures
    ADD CONSTRAINT pk_pin_failures PRIMARY KEY (id);

ALTER TABLE ONLY public.reconciliation_findings
    ADD CONSTRAINT pk_reconciliation_findings PRIMARY KEY (id);

ALTER TABLE ONLY public.reversed_totals
    ADD CONSTRAINT pk_reversed_totals PRIMARY KEY (transfer_id);

ALTER TABLE ONLY public.revoked_tokens
    ADD CONSTRAINT pk_revoked_tokens PRIMARY KEY (id);

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

CREATE INDEX ix_accounts_merchants ON public.accounts USING btree (id) WHERE ((kind)::text = 'merchant'::text);

CREATE INDEX ix_accounts_owner_id ON public.accounts USING btree (owner_id);

CREATE INDEX ix_accounts_wallet_id_search ON public.accounts USING gin (public.search_grams(split_part((handle)::text, '@'::text, 1))) WHERE ((kind)::text = 'wallet'::text);

CREATE INDEX ix_entries_account_id_created_at_seq ON public.entries USING btree (account_id, created_at, seq);

CREATE INDEX ix_holds_active ON public.holds USING btree (account_id) WHERE ((status)::text = 'active'::text);

CREATE INDEX ix_idempotency_keys_created_at ON public.idempotency_keys USING btree (created_at);

CREATE INDEX ix_on_ramps_owner_id_id ON public.on_ramps USING btree (owner_id, id);

CREATE INDEX ix_on_ramps_owner_id_idempotency_key ON public.on_ramps USING btree (owner_id, idempotency_key);

CREATE INDEX ix_on_ramps_pending ON public.on_ramps USING btree (next_enquiry_at) WHERE ((status)::text = 'pending'::text);

CREATE INDEX ix_outbox_messages_bundle ON public.outbox_messages USING btree (bundle_id) WHERE ((bundle_id IS NOT NULL) AND (sent_at IS NULL));

CREATE INDEX ix_outbox_messages_bundles_of ON public.outbox_messages USING btree (owner_id, closed_at) WHERE (bundle_id = id);

CREATE INDEX ix_outbox_messages_due ON public.outbox_messages USING btree (next_attempt_at) WHERE (next_attempt_at IS NOT NULL);

CREATE INDEX ix_pin_failures_owner_id_failed_at ON public.pin_failures USING btree (owner_id, failed_at);

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

CREATE UNIQUE INDEX uq_withdrawals_one_active_per_owner ON public.withdrawals USING btree (owner_id) WHERE ((status)::text = ANY ((ARRAY['in_flight'::character varying, 'waiting'::character varying, 'unknown'::character varying, 'needs_review'::character varying])::text[]));

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.entries FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.ledger_seal_ranges FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.ledger_seals FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.transfers FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.withdrawal_events FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_change();

CREATE TRIGGER count_reversal AFTER INSERT ON public.transfers FOR EACH ROW WHEN ((new.reverses IS NOT NULL)) EXECUTE FUNCTION public.count_reversal();

CREATE TRIGGER never_deleted BEFORE DELETE OR TRUNCATE ON public.reversed_totals FOR EACH STATEMENT EXECUTE FUNCTION public.refuse_direct_write();

CREATE TRIGGER spelled BEFORE INSERT OR UPDATE OF business_name, category ON public.merchants FOR EACH ROW EXECUTE FUNCTION public.spell_merchants();

CREATE TRIGGER spelled BEFORE INSERT OR UPDATE OF first_name, last_name ON public.users FOR EACH ROW EXECUTE FUNCTION public.spell_users();

CREATE TRIGGER written_by_trigger BEFORE INSERT OR UPDATE ON public.reversed_totals FOR EACH STATEMENT WHEN ((pg_trigger_depth() = 0)) EXECUTE FUNCTION public.refuse_direct_write();

ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT fk_accounts_owner_id_owners FOREIGN KEY (owner_id) REFERENCES public.owners(id);

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

ALTER TABLE ONLY public.pin_failures
    ADD CONSTRAINT fk_pin_failures_owner_id_owners FOREIGN KEY (owner_id) REFERENCES public.owners(id);

ALTER TABLE ONLY public.reversed_totals
    ADD CONSTRAINT fk_reversed_totals_transfer_id_transfers FOREIGN KEY (transfer_id) REFERENCES public.transfers(id);

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
