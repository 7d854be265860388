-- Whose credentials a service can reach: user_app those of people, merchant_app those of shops. Run it after roles.sql, as
-- a superuser; it can be repeated.
--
-- Grants say which tables and columns; these policies say which rows. The worker and bank_webhook see every owner, but no
-- grant lets them read a hash. The schema's owner and superusers are not restricted. To change a policy, give it a new name
-- and drop the old one: one that is there is left alone, because each change locks the table for a moment.

DO $$
DECLARE
    of_own_kind text := 'EXISTS (SELECT FROM public.owners WHERE owners.id = owner_id)';  -- owners that the role can see
    policy record;
    protected text;
BEGIN
    IF to_regclass('public.owners') IS NULL THEN
        RETURN;  -- not migrated yet
    END IF;
    SET LOCAL lock_timeout = '5s';
    -- With IS TRUE, no index serves the rule: the planner would else read all of a kind by uq_owners_kind_email, which costs
    -- little while a table is small, and keep that plan.
    FOR policy IN SELECT * FROM (VALUES
        ('owners', 'people_of_user_app', 'ALL', 'user_app', $rule$USING ((kind = 'user') IS TRUE)$rule$),
        ('owners', 'shops_of_merchant_app', 'ALL', 'merchant_app', $rule$USING ((kind = 'merchant') IS TRUE)$rule$),
        ('owners', 'seen_without_hashes', 'SELECT', 'bank_webhook, withdraw_worker', 'USING (true)'),
        ('owners', 'seen_by_operators', 'SELECT', 'batua_operator', 'USING (true)'),
        ('email_confirmations', 'seen_by_operators', 'SELECT', 'batua_operator', 'USING (true)'),
        ('email_confirmations', 'seen_by_all', 'SELECT', 'batua_service', 'USING (true)'),
        ('email_confirmations', 'begun_for_own_kind', 'INSERT', 'user_app, merchant_app',
            format('WITH CHECK (%s)', of_own_kind)),
        ('email_confirmations', 'changed_for_own_kind', 'UPDATE', 'user_app, merchant_app',
            format('USING (%s)', of_own_kind)),
        ('email_confirmations', 'ended_for_own_kind', 'DELETE', 'user_app, merchant_app',
            format('USING (%s)', of_own_kind)),
        ('pin_failures', 'counted', 'SELECT', 'batua_service', 'USING (true)'),
        ('pin_failures', 'counted_for_own_kind', 'INSERT', 'user_app, merchant_app',
            format('WITH CHECK (%s)', of_own_kind)),
        ('pin_failures', 'forgotten_for_own_kind', 'DELETE', 'user_app, merchant_app',
            format('USING (%s)', of_own_kind)),
        ('pin_failures', 'purged', 'DELETE', 'withdraw_worker', 'USING (true)')
    ) AS listed (name, title, command, roles, rule) LOOP
        CONTINUE WHEN EXISTS (
            SELECT FROM pg_policies
            WHERE schemaname = 'public' AND tablename = policy.name AND policyname = policy.title
        );
        EXECUTE format('CREATE POLICY %I ON public.%I FOR %s TO %s %s',
                       policy.title, policy.name, policy.command, policy.roles, policy.rule);
    END LOOP;
    FOREACH protected IN ARRAY ARRAY['owners', 'email_confirmations', 'pin_failures'] LOOP
        CONTINUE WHEN (SELECT relrowsecurity FROM pg_class WHERE oid = format('public.%I', protected)::regclass);
        EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', protected);
    END LOOP;
END
$$;
