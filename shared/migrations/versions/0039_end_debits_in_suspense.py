"""Let two operators end a debit in suspense, once: collect it from its owner, or book it as a fee of the bank."""

from __future__ import annotations

from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

_TABLE = "operator_actions"
_CHECK = "ck_operator_actions_action"
_ONCE = "uq_operator_actions_parked_debit"
_TRIGGER = "check_parked_debit"
_ACTIONS = "'freeze', 'park', 'unfreeze', 'resolve', 'replay'"
_ENDS = "'collect', 'book_fee'"
_DEFINER = "LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp"

# Whether this transfer is what an action says that is carried out now: the whole of a debit that was parked, out of the
# account that the action names, and of no owner but whom the bank named, or out of `fees` where the bank named none. What
# the action says of amount, bank, reference and owner is what the operator has read who confirms it, so it must be so.
_ENDS_PARKED_DEBIT = f"""
    CREATE FUNCTION ends_parked_debit(moved_id uuid) RETURNS boolean {_DEFINER} AS $$
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
    END $$
"""  # noqa: S608 - constants of this file

# From the other side: an action that is confirmed and moves nothing would keep the debit in suspense for ever.
_CHECK_PARKED_DEBIT = f"""
    CREATE FUNCTION check_parked_debit() RETURNS trigger {_DEFINER} AS $$
    BEGIN
        IF public.ends_parked_debit((NEW.arguments ->> 'transfer_id')::uuid) IS NOT TRUE THEN
            RAISE EXCEPTION 'action % says % of a parked debit, and no transfer does so', NEW.id, NEW.action
                USING ERRCODE = 'check_violation';
        END IF;
        RETURN NULL;
    END $$
"""

_OF_A_TRANSFER = """
        IF NEW.reverses IS NOT NULL THEN
            PERFORM FROM public.transfers AS original"""
_OF_AN_OPERATORS_TRANSFER = """
        IF NEW.kind = 'adjustment' AND session_user <> 'withdraw_worker' THEN
            PERFORM WHERE public.ends_parked_debit(NEW.id);
        ELSIF NEW.reverses IS NOT NULL THEN
            PERFORM FROM public.transfers AS original"""

_OPERATOR = "THEN ARRAY['onramp', 'payout', 'payout_reversal'] ELSE ARRAY[]::text[] END END"
_OPERATOR_ADJUSTS = "THEN ARRAY['onramp', 'payout', 'payout_reversal', 'adjustment'] ELSE ARRAY[]::text[] END END"
_DEBITED = """
                WHEN side.kind = 'adjustment' THEN account.kind IN ('bank_settlement', 'suspense')
                ELSE account.kind = 'funding' END"""
_DEBITED_BY_AN_OPERATOR = """
                WHEN side.kind = 'adjustment' THEN CASE session_user WHEN 'withdraw_worker'
                    THEN account.kind IN ('bank_settlement', 'suspense')
                    ELSE account.kind IN ('wallet', 'merchant', 'fees') END
                ELSE account.kind = 'funding' END"""
_CREDITED = """
                WHEN side.kind = 'adjustment' THEN account.kind IN ('bank_settlement', 'suspense')
                ELSE account.kind IN ('wallet', 'merchant', 'pot') END"""
_CREDITED_BY_AN_OPERATOR = """
                WHEN side.kind = 'adjustment' THEN account.kind = 'suspense'
                    OR account.kind = 'bank_settlement' AND session_user = 'withdraw_worker'
                ELSE account.kind IN ('wallet', 'merchant', 'pot') END"""
_POSTING = (
    (_OPERATOR, _OPERATOR_ADJUSTS),
    (_DEBITED, _DEBITED_BY_AN_OPERATOR),
    (_CREDITED, _CREDITED_BY_AN_OPERATOR),
)


def upgrade() -> None:
    # First what commits by itself, and can be repeated; then the functions, all or none.
    with op.get_context().autocommit_block():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {_ONCE}")  # of a migration that was cut off
        op.execute(f"""
            CREATE UNIQUE INDEX CONCURRENTLY {_ONCE} ON {_TABLE} (subject_id)
            WHERE done_in IS NOT NULL AND action IN ({_ENDS})
        """)
        _allow(f"{_ACTIONS}, {_ENDS}")
        op.execute(f"ALTER TABLE {_TABLE} VALIDATE CONSTRAINT {_CHECK}")
    op.execute(_ENDS_PARKED_DEBIT)
    op.execute(_CHECK_PARKED_DEBIT)
    for function in ("ends_parked_debit(uuid)", "check_parked_debit()"):
        op.execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
    op.execute(f"""
        CREATE CONSTRAINT TRIGGER {_TRIGGER} AFTER UPDATE ON {_TABLE} DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW WHEN (NEW.done_in IS NOT NULL AND NEW.action IN ({_ENDS})) EXECUTE FUNCTION check_parked_debit()
    """)
    _change("check_transfer", (_OF_A_TRANSFER, _OF_AN_OPERATORS_TRANSFER))
    _change("post_to_ledger", *_POSTING)


def downgrade() -> None:
    op.execute(f"""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM {_TABLE} WHERE action IN ({_ENDS})) THEN
                RAISE EXCEPTION 'operators have ended debits in suspense, and the version before does not know how';
            END IF;
        END $$
    """)
    _change("post_to_ledger", *[(after, before) for before, after in _POSTING])
    _change("check_transfer", (_OF_AN_OPERATORS_TRANSFER, _OF_A_TRANSFER))
    op.execute(f"DROP TRIGGER {_TRIGGER} ON {_TABLE}")
    for function in ("check_parked_debit()", "ends_parked_debit(uuid)"):
        op.execute(f"DROP FUNCTION {function}")
    op.execute(f"DROP INDEX {_ONCE}")
    _allow(_ACTIONS)


def _allow(actions: str) -> None:
    """Replace the check at once: at no moment may another action be written."""
    op.execute(f"""
        ALTER TABLE {_TABLE} DROP CONSTRAINT IF EXISTS {_CHECK},
        ADD CONSTRAINT {_CHECK} CHECK (action IN ({actions})) NOT VALID
    """)


def _change(name: str, *places: tuple[str, str]) -> None:
    """The function stays as the migrations before left it, but for these places."""
    function = op.get_bind().exec_driver_sql(f"SELECT pg_get_functiondef('{name}'::regproc)").scalar_one()
    for before, after in places:
        assert function.count(before) == 1, before
        function = function.replace(before, after)
    op.get_bind().exec_driver_sql(function)
