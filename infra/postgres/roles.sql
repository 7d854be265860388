-- What each service may do in the database. Run as a superuser, in the migrated database, as often
-- as you like.
--
-- Services share the group batua_service. It reads and inserts everywhere, and changes everything but
-- the records of what happened: those can be added to and nothing else, by grant here and by
-- trigger in the schema. Nobody but the owner may TRUNCATE, and nobody alters a table.
--
-- Only the two apps, where people sign in, can read how passwords and PINs are hashed.

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
        EXECUTE format('GRANT batua_service TO %I', login);
    END LOOP;
END
$$;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public TO batua_service;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO batua_service;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO batua_service;

DO $$
DECLARE
    owner name := (SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database());
    append_only text;
    harmless text;
BEGIN
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO batua_service', current_database());
    EXECUTE format('REVOKE CONNECT, TEMPORARY ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA public '
                   'GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO batua_service', owner);
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE %I IN SCHEMA public '
                   'GRANT USAGE ON SEQUENCES TO batua_service', owner);
    FOREACH append_only IN ARRAY ARRAY[
        'transfers', 'entries', 'ledger_seals', 'ledger_seal_ranges', 'withdrawal_events'
    ] LOOP
        IF to_regclass('public.' || append_only) IS NOT NULL THEN
            EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON public.%I FROM batua_service', append_only);
        END IF;
    END LOOP;
    IF to_regclass('public.alembic_version') IS NOT NULL THEN
        REVOKE INSERT, UPDATE, DELETE ON public.alembic_version FROM batua_service;
    END IF;
    IF to_regclass('public.owners') IS NOT NULL THEN
        SELECT string_agg(quote_ident(attname), ', ') INTO harmless FROM pg_attribute
        WHERE attrelid = 'public.owners'::regclass AND attnum > 0 AND NOT attisdropped
          AND attname NOT IN ('password_hash', 'pin_hash');
        REVOKE ALL ON public.owners FROM batua_service;
        GRANT SELECT, INSERT, UPDATE, DELETE ON public.owners TO user_app, merchant_app;
        EXECUTE format('GRANT SELECT (%s) ON public.owners TO bank_webhook, withdraw_worker', harmless);
    END IF;
END
$$;
