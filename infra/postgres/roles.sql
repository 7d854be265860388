-- What each service may do in the database. Run it as a superuser, in the migrated database; it can be repeated. It
-- first revokes every right, so a service has exactly the rights that are granted here.
--
-- The group batua_service may read every table. bank_webhook is not in it and reads only what it settles. Beyond
-- reading, a service may do only what its own flows do:
-- * DELETE only rows that have expired or are used up: keys, signed-out tokens, wrong PINs, audited events, recovery codes,
--   notices of banks.
-- * UPDATE only those columns of a row that change.
-- * INSERT, but not UPDATE or DELETE, where history is kept; a trigger in the schema refuses the same.
-- * Only the schema's owner may TRUNCATE or alter a table. A new table can be read; other rights need a line here.
--
-- Transfers, entries, holds and balances are written by a function of the schema's owner, `post_to_ledger`, which knows
-- what each of these roles may move (docs/adr).
--
-- No service can read the audit trail: operators do.
--
-- An operator has a role of their own (`batua operators add`), a member of batua_operator. It reads what happened, no hash,
-- no sealed secret and no mail, and may change only what an action says that another operator has confirmed in the same
-- transaction: a trigger of the schema sees to it (docs/adr).
--
-- Only the two apps, where people sign in, can read the hashes of passwords and PINs, each those of its own kind
-- (credentials.sql), and only user_app the sealed secrets of second factors and the hashes of recovery codes. No service can change which owner an account
-- has, make an owner the platform's own, or let an account go below zero. A new row starts with the defaults of the schema.

DO $$
DECLARE
    login text;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'batua_service') THEN
        CREATE ROLE batua_service NOLOGIN;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'batua_operator') THEN
        CREATE ROLE batua_operator NOLOGIN;
    END IF;
    FOREACH login IN ARRAY ARRAY['user_app', 'merchant_app', 'bank_webhook', 'withdraw_worker'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = login) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', login);
        END IF;
    END LOOP;
END
$$;

GRANT batua_service TO user_app, merchant_app, withdraw_worker;
REVOKE batua_service FROM bank_webhook;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO batua_service, bank_webhook, batua_operator;
GRANT pg_read_all_stats TO batua_operator;  -- which services are connected, and how far a standby is behind
REVOKE ALL ON ALL TABLES IN SCHEMA public
    FROM batua_service, user_app, merchant_app, bank_webhook, withdraw_worker, batua_operator;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO batua_service;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO batua_service;

DO $$
DECLARE
    owner name := (SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database());
    every_service text := 'user_app, merchant_app, bank_webhook, withdraw_worker';
    apps text := 'user_app, merchant_app';
    operators text := 'batua_operator';
    of_notice text := 'status, transfer_id, reversal_transfer_id, utr, failure_reason, retries, lease_id, '
        'lease_expires_at, next_attempt_at, first_not_found_at, finished_at';
    of_withdrawal text := of_notice || ', attempts, active_since, ask_bank_first';
    of_on_ramp text := 'status, token, redirect_url, bank_reference, failure_reason, transfer_id, is_late_success, '
        'is_contradicted, next_enquiry_at, expires_at, cancel_requested_at, settled_at';
    of_new_account text := 'id, owner_id, kind, name, handle, currency, sent_on, created_at, closed_at, frozen_at, goal';
    granted record;
BEGIN
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO batua_service, bank_webhook, batua_operator', current_database());
    EXECUTE format('REVOKE CONNECT, TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA public '
                   'REVOKE ALL ON TABLES FROM batua_service', owner);
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA public '
                   'GRANT SELECT ON TABLES TO batua_service', owner);
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA public '
                   'GRANT USAGE ON SEQUENCES TO batua_service', owner);
    IF to_regclass('public.owners') IS NULL THEN
        RETURN;  -- not migrated yet
    END IF;
    REVOKE SELECT ON public.owners, public.second_factors, public.recovery_codes, public.audit_events
        FROM batua_service;
    FOR granted IN SELECT * FROM (VALUES
        -- the ledger
        -- to lock a row, one must be allowed to change some column of it; what a day's sending counts moves no money
        ('accounts', every_service, 'SELECT, UPDATE (sent_on, sent_today)'),
        ('accounts', 'user_app', 'UPDATE (name, goal, closed_at)'),
        ('accounts', apps, format('INSERT (%s)', of_new_account)),
        ('transfers', every_service, 'SELECT'),  -- these three and balances are written by post_to_ledger alone
        ('entries', every_service, 'SELECT'),
        ('holds', every_service, 'SELECT'),
        ('reversed_totals', every_service, 'SELECT'),  -- written by a trigger, with its owner's rights
        ('ledger_seals', 'withdraw_worker', 'INSERT'),
        ('ledger_seal_ranges', 'withdraw_worker', 'INSERT'),
        ('proof_runs', 'withdraw_worker', 'INSERT, UPDATE, DELETE'),
        ('leases', 'withdraw_worker', 'INSERT, UPDATE'),
        ('scheduled_tasks', 'withdraw_worker', 'INSERT, UPDATE'),
        -- money in and out
        ('on_ramps', 'user_app', 'INSERT'),
        ('on_ramps', 'user_app, bank_webhook, withdraw_worker', format('SELECT, UPDATE (%s)', of_on_ramp)),
        ('withdrawals', apps, 'SELECT, INSERT, UPDATE (status, finished_at)'),  -- a trigger lets them cancel the queue
        ('withdrawals', 'bank_webhook', format('SELECT, UPDATE (%s)', of_notice)),
        ('withdrawals', 'withdraw_worker', format('SELECT, UPDATE (%s)', of_withdrawal)),
        ('withdrawal_events', every_service, 'SELECT, INSERT'),
        ('bank_circuits', 'withdraw_worker', 'INSERT, UPDATE'),
        ('recoveries', 'withdraw_worker', 'SELECT'),  -- an operator begins and finishes one
        ('webhook_inbox', 'bank_webhook', 'SELECT, INSERT, UPDATE (verdict, on_ramp_id, withdrawal_id)'),
        ('webhook_inbox', 'withdraw_worker', 'DELETE'),  -- after five years, which a trigger sees to
        ('reconciliation_findings', 'withdraw_worker', 'INSERT, UPDATE'),
        ('inflow_rollups', 'withdraw_worker', 'INSERT, UPDATE'),
        ('inflow_watermarks', 'withdraw_worker', 'INSERT, UPDATE'),
        -- what comes around every movement
        ('idempotency_keys', 'user_app, merchant_app, withdraw_worker', 'INSERT, UPDATE, DELETE'),
        ('outbox_messages', every_service, 'INSERT'),
        ('outbox_messages', 'withdraw_worker', 'UPDATE, DELETE'),
        ('mails', 'withdraw_worker', 'INSERT, UPDATE, DELETE'),
        -- is the schema what this version needs?
        ('alembic_version', 'bank_webhook', 'SELECT'),
        -- people and shops
        ('owners', apps, 'SELECT, INSERT (id, kind, email, password_hash, pin_hash, tokens_valid_after, kept_token_id, '
            'created_at), UPDATE (password_hash, pin_hash, tokens_valid_after, kept_token_id)'),
        ('owners', 'bank_webhook, withdraw_worker',
            'SELECT (id, kind, is_system, email, tokens_valid_after, kept_token_id, created_at)'),
        ('owners', apps, 'UPDATE (email)'),  -- a corrected address, once it is confirmed
        ('email_confirmations', apps, 'INSERT, UPDATE, DELETE'),
        ('second_factors', 'user_app', 'SELECT, UPDATE (last_step)'),  -- an operator enrols
        ('recovery_codes', 'user_app', 'SELECT, DELETE'),  -- one that is used goes; an operator makes them
        ('users', 'user_app', 'INSERT, UPDATE (first_name, last_name)'),
        ('merchants', 'merchant_app', 'INSERT, UPDATE (business_name, category, timezone)'),
        ('pin_failures', apps, 'INSERT, DELETE'),
        ('pin_failures', 'withdraw_worker', 'DELETE'),
        -- deleted only after ninety days, which a trigger sees to
        ('audit_events', apps, 'INSERT'),
        ('audit_events', 'withdraw_worker', 'SELECT (id, last_at), DELETE'),
        ('revoked_tokens', apps, 'INSERT'),
        ('revoked_tokens', 'withdraw_worker', 'DELETE'),
        -- operators: what happened, and what they do with one another
        ('operator_actions', operators, 'SELECT, INSERT, UPDATE (decision, outcome)'),
        ('audit_events', operators, 'SELECT, INSERT'),
        ('accounts', operators, 'SELECT, UPDATE (frozen_at)'),
        ('withdrawals', operators, format('SELECT, UPDATE (%s)', of_withdrawal)),
        ('withdrawal_events', operators, 'SELECT, INSERT'),
        ('on_ramps', operators, format('SELECT, UPDATE (%s)', of_on_ramp)),
        ('webhook_inbox', operators, 'SELECT, UPDATE (verdict, on_ramp_id, withdrawal_id)'),
        ('owners', operators, 'SELECT (id, kind, is_system, email, tokens_valid_after, kept_token_id, created_at)'),
        ('email_confirmations', operators, 'SELECT (owner_id, address, expires_at, sent_at)'),
        ('idempotency_keys', operators, 'SELECT (owner_id, key, status, created_at)'),
        ('outbox_messages', operators, 'SELECT (id, kind, owner_id, attempts, next_attempt_at, created_at), INSERT'),
        ('mails', operators, 'SELECT (id, kind, owner_id, attempts, next_attempt_at, sent_at, created_at)'),
        ('transfers', operators, 'SELECT'),
        ('entries', operators, 'SELECT'),
        ('holds', operators, 'SELECT'),
        ('reversed_totals', operators, 'SELECT'),
        ('ledger_seals', operators, 'SELECT'),
        ('ledger_seal_ranges', operators, 'SELECT'),
        ('opening_balances', operators, 'SELECT'),
        ('archived_seals', operators, 'SELECT'),
        ('inflow_rollups', operators, 'SELECT'),
        ('inflow_watermarks', operators, 'SELECT'),
        ('bank_circuits', operators, 'SELECT'),
        ('recoveries', operators, 'SELECT'),
        ('leases', operators, 'SELECT'),
        ('proof_runs', operators, 'SELECT'),
        ('reconciliation_findings', operators, 'SELECT'),
        ('users', operators, 'SELECT'),
        ('merchants', operators, 'SELECT'),
        ('alembic_version', operators, 'SELECT')
    ) AS listed (name, roles, privileges) LOOP
        EXECUTE format('GRANT %s ON public.%I TO %s', granted.privileges, granted.name, granted.roles);
    END LOOP;
    EXECUTE format('GRANT EXECUTE ON FUNCTION public.post_to_ledger TO %s, %s', every_service, operators);
    EXECUTE format('GRANT EXECUTE ON FUNCTION public.is_operator TO %s', operators);
END
$$;

-- What each standby has not replayed yet. A service may not see other sessions of the server, and this tells no more of
-- them than their name and how far they are behind.
CREATE OR REPLACE FUNCTION public.replication_lag() RETURNS TABLE (standby text, bytes bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog AS $$
    SELECT application_name, CAST(pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn) AS bigint) FROM pg_stat_replication
$$;
REVOKE ALL ON FUNCTION public.replication_lag() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION public.replication_lag() TO withdraw_worker;

-- What the server's log never holds: a row that broke a rule, a statement and its values, any of which may be an account
-- number. Here for a server whose own configuration is another's; where that one refuses, it has to say the same.
DO $$
DECLARE
    quiet record;
BEGIN
    FOR quiet IN SELECT * FROM (VALUES
        ('log_error_verbosity', 'terse'),
        ('log_min_error_statement', 'panic'),
        ('log_parameter_max_length', '0'),
        ('log_parameter_max_length_on_error', '0'),
        ('log_statement', 'none')
    ) AS listed (name, value) LOOP
        BEGIN
            EXECUTE format('ALTER DATABASE %I SET %I = %L', current_database(), quiet.name, quiet.value);
        EXCEPTION WHEN insufficient_privilege THEN
            RAISE WARNING 'set % = % in the configuration of the server', quiet.name, quiet.value;
        END;
    END LOOP;
END
$$;
