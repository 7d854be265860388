-- What each service may do in the database. Run it as a superuser, in the migrated database; it can be repeated. It
-- first revokes every right, so a service has exactly the rights that are granted here.
--
-- The group batua_service may read every table. bank_webhook is not in it and reads only what it settles. Beyond
-- reading, a service may do only what its own flows do:
-- * DELETE only rows that have expired: keys, signed-out tokens, wrong PINs.
-- * UPDATE only those columns of a row that change.
-- * INSERT, but not UPDATE or DELETE, where history is kept; a trigger in the schema refuses the same.
-- * Only the schema's owner may TRUNCATE or alter a table. A new table can be read; other rights need a line here.
--
-- Only the two apps, where people sign in, can read the hashes of passwords and PINs. No service can change which owner
-- an account has, make an owner the platform's own, or let an account go below zero. A new row starts with the defaults
-- of the schema.

DO $$
DECLARE
    login text;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'batua_service') THEN
        CREATE ROLE batua_service NOLOGIN;
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
GRANT USAGE ON SCHEMA public TO batua_service, bank_webhook;
REVOKE ALL ON ALL TABLES IN SCHEMA public
    FROM batua_service, user_app, merchant_app, bank_webhook, withdraw_worker;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO batua_service;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO batua_service;

DO $$
DECLARE
    owner name := (SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database());
    every_service text := 'user_app, merchant_app, bank_webhook, withdraw_worker';
    apps text := 'user_app, merchant_app';
    of_withdrawal text := 'status, transfer_id, reversal_transfer_id, utr, failure_reason, attempts, retries, lease_id, '
        'lease_expires_at, next_attempt_at, first_not_found_at, active_since, finished_at';
    of_on_ramp text := 'status, token, redirect_url, bank_reference, failure_reason, transfer_id, is_late_success, '
        'is_contradicted, next_enquiry_at, expires_at, cancel_requested_at, settled_at';
    of_new_account text := 'id, owner_id, kind, name, handle, currency, sent_on, created_at, closed_at, goal';
    granted record;
BEGIN
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO batua_service, bank_webhook', current_database());
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
    REVOKE SELECT ON public.owners FROM batua_service;
    FOR granted IN SELECT * FROM (VALUES
        -- the ledger
        ('accounts', every_service, 'SELECT, UPDATE (balance, held, seq, sent_on, sent_today)'),
        ('accounts', 'user_app', 'UPDATE (name, goal, closed_at)'),
        ('accounts', apps, format('INSERT (%s)', of_new_account)),
        ('transfers', every_service, 'SELECT, INSERT'),
        ('entries', every_service, 'SELECT, INSERT'),
        ('reversed_totals', every_service, 'SELECT'),  -- written by a trigger, with its owner's rights
        ('holds', every_service, 'SELECT, UPDATE (status, transfer_id, closed_at)'),
        ('holds', apps, 'INSERT'),
        ('ledger_seals', 'withdraw_worker', 'INSERT'),
        ('ledger_seal_ranges', 'withdraw_worker', 'INSERT'),
        -- money in and out
        ('on_ramps', 'user_app', 'INSERT'),
        ('on_ramps', 'user_app, bank_webhook, withdraw_worker', format('SELECT, UPDATE (%s)', of_on_ramp)),
        ('withdrawals', apps, 'INSERT'),
        ('withdrawals', every_service, format('SELECT, UPDATE (%s)', of_withdrawal)),
        ('withdrawal_events', every_service, 'SELECT, INSERT'),
        ('bank_circuits', 'withdraw_worker', 'INSERT, UPDATE'),
        ('webhook_inbox', 'bank_webhook', 'SELECT, INSERT, UPDATE (verdict, on_ramp_id, withdrawal_id)'),
        ('reconciliation_findings', 'withdraw_worker', 'INSERT, UPDATE'),
        ('inflow_rollups', 'withdraw_worker', 'INSERT, UPDATE'),
        ('inflow_watermarks', 'withdraw_worker', 'INSERT, UPDATE'),
        -- what comes around every movement
        ('idempotency_keys', 'user_app, merchant_app, withdraw_worker', 'INSERT, UPDATE, DELETE'),
        ('outbox_messages', every_service, 'INSERT'),
        ('outbox_messages', 'withdraw_worker', 'UPDATE, DELETE'),
        -- people and shops
        ('owners', apps, 'SELECT, INSERT (id, kind, email, password_hash, pin_hash, tokens_valid_after, kept_token_id, '
            'created_at), UPDATE (password_hash, pin_hash, tokens_valid_after, kept_token_id)'),
        ('owners', 'bank_webhook, withdraw_worker',
            'SELECT (id, kind, is_system, email, tokens_valid_after, kept_token_id, created_at)'),
        ('users', 'user_app', 'INSERT, UPDATE (first_name, last_name)'),
        ('merchants', 'merchant_app', 'INSERT, UPDATE (business_name, category, timezone)'),
        ('pin_failures', apps, 'INSERT, DELETE'),
        ('pin_failures', 'withdraw_worker', 'DELETE'),
        ('revoked_tokens', apps, 'INSERT'),
        ('revoked_tokens', 'withdraw_worker', 'DELETE')
    ) AS listed (name, roles, privileges) LOOP
        EXECUTE format('GRANT %s ON public.%I TO %s', granted.privileges, granted.name, granted.roles);
    END LOOP;
END
$$;
