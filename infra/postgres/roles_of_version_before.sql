-- What the services of the version before need beside `roles.sql`, until all of them are replaced. Here, it writes the
-- ledger's tables itself. Run it after `roles.sql`, which takes these rights away when it is run again by itself.

GRANT UPDATE (balance, held, seq) ON public.accounts TO user_app, merchant_app, bank_webhook, withdraw_worker;
GRANT INSERT ON public.transfers, public.entries TO user_app, merchant_app, bank_webhook, withdraw_worker;
GRANT UPDATE (status, transfer_id, closed_at) ON public.holds TO user_app, merchant_app, bank_webhook, withdraw_worker;
GRANT INSERT ON public.holds TO user_app, merchant_app;
