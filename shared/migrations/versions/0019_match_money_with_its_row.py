"""Create the checks at commit: what a service writes of money is matched to its on-ramp, withdrawal or payment."""

from __future__ import annotations

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

# They judge the row as it is when the transaction commits, whichever of the rows that belong together was written last.
# The schema's owner is not judged: operators mend, and tests begin with rows in any state.
_DEFINER = "LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off"
_UNLESS_TRUSTED = "IF pg_has_role(session_user, current_user, 'MEMBER') THEN RETURN NULL; END IF;"

_CHECK_ON_RAMP = f"""
    CREATE OR REPLACE FUNCTION check_on_ramp() RETURNS trigger {_DEFINER} AS $$
    DECLARE
        found_row public.on_ramps;
    BEGIN
        {_UNLESS_TRUSTED}
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
    END $$
"""  # noqa: S608 - constants of this file

_CHECK_WITHDRAWAL = f"""
    CREATE OR REPLACE FUNCTION check_withdrawal() RETURNS trigger {_DEFINER} AS $$
    DECLARE
        asked public.withdrawals;
    BEGIN
        {_UNLESS_TRUSTED}
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
    END $$
"""  # noqa: S608 - constants of this file

# A welcome balance is the first entry of its account, and the platform's own user gives all other funds.
_CHECK_TRANSFER = f"""
    CREATE OR REPLACE FUNCTION check_transfer() RETURNS trigger {_DEFINER} AS $$
    BEGIN
        {_UNLESS_TRUSTED}
        IF NEW.reverses IS NOT NULL THEN
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
    END $$
"""  # noqa: S608 - constants of this file

# A transfer between owners, which is nearly every one, is matched to no other row: no check is queued for it.
_NEW_MOVE = "(OLD.status, OLD.transfer_id, OLD.reversal_transfer_id)"
_TRIGGERS = (
    ("check_on_ramp", "INSERT", "transfers", "NEW.kind = 'onramp'"),
    ("check_withdrawal", "INSERT", "transfers", "NEW.kind IN ('payout', 'payout_reversal')"),
    (
        "check_transfer",
        "INSERT",
        "transfers",
        "NEW.reverses IS NOT NULL OR NEW.kind IN ('refund', 'funding', 'adjustment')",
    ),
    ("check_new_on_ramp", "INSERT", "on_ramps", "NEW.transfer_id IS NOT NULL"),
    ("check_on_ramp", "UPDATE", "on_ramps", "NEW.transfer_id IS NOT NULL OR OLD.transfer_id IS NOT NULL"),
    ("check_new_withdrawal", "INSERT", "withdrawals", "true"),
    ("check_withdrawal", "UPDATE", "withdrawals", f"{_NEW_MOVE} IS DISTINCT FROM {_NEW_MOVE.replace('OLD', 'NEW')}"),
    ("check_withdrawal", "INSERT OR UPDATE", "holds", "true"),
)
_FUNCTIONS = ("check_on_ramp", "check_withdrawal", "check_transfer")


def upgrade() -> None:
    for function in (_CHECK_ON_RAMP, _CHECK_WITHDRAWAL, _CHECK_TRANSFER):
        op.execute(function)
    for function in _FUNCTIONS:
        op.execute(f"REVOKE ALL ON FUNCTION {function}() FROM PUBLIC")
    # Each by itself: payments that hold one of these tables and wait for another would else wait for each other with us.
    with op.get_context().autocommit_block():
        for name, event, table, condition in _TRIGGERS:
            op.execute(f"DROP TRIGGER IF EXISTS {name} ON {table}")  # of a migration that was cut off
            op.execute(f"""
                CREATE CONSTRAINT TRIGGER {name} AFTER {event} ON {table} DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW WHEN ({condition}) EXECUTE FUNCTION {name.replace("_new_", "_")}()
            """)


def downgrade() -> None:
    for name, _, table, _ in _TRIGGERS:
        op.execute(f"DROP TRIGGER {name} ON {table}")
    for function in _FUNCTIONS:
        op.execute(f"DROP FUNCTION {function}()")
