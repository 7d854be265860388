"""Create reversed_totals and the trigger that counts into it, so that Postgres rejects a refund beyond the payment."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "reversed_totals",
        sa.Column("transfer_id", sa.Uuid(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("reversed", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("reversed > 0", name=op.f("ck_reversed_totals_reversed_positive")),
        sa.CheckConstraint("reversed <= amount", name=op.f("ck_reversed_totals_reversed_within_amount")),
        sa.ForeignKeyConstraint(
            ["transfer_id"], ["transfers.id"], name=op.f("fk_reversed_totals_transfer_id_transfers")
        ),
        sa.PrimaryKeyConstraint("transfer_id", name=op.f("pk_reversed_totals")),
    )
    _count_from_now_on()
    # Committed first, because the trigger's creation keeps every transfer waiting.
    with op.get_context().autocommit_block():
        _add_up_what_there_is()
    _refuse_all_other_writes()


def _count_from_now_on() -> None:
    # Two reversals of one transfer wait for each other at its row; the check then rejects what is too much. The function has
    # the rights of the schema's owner, so that no service needs any on the table.
    op.execute("""
        CREATE FUNCTION count_reversal() RETURNS trigger
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
        BEGIN
            INSERT INTO public.reversed_totals AS total (transfer_id, amount, reversed)
            SELECT id, amount, NEW.amount FROM public.transfers WHERE id = NEW.reverses
            ON CONFLICT (transfer_id) DO UPDATE SET reversed = total.reversed + EXCLUDED.reversed;
            RETURN NULL;
        END $$
    """)
    op.execute("REVOKE ALL ON FUNCTION count_reversal() FROM PUBLIC")
    op.execute("""
        CREATE TRIGGER count_reversal AFTER INSERT ON transfers
        FOR EACH ROW WHEN (NEW.reverses IS NOT NULL) EXECUTE FUNCTION count_reversal()
    """)


def _add_up_what_there_is() -> None:
    # The row is locked before the sum is read: a reversal that commits meanwhile is in the sum, or waits and is added.
    # Each row is committed by itself, so a refund waits for one row only.
    op.execute("""
        DO $$
        DECLARE
            original uuid;
        BEGIN
            FOR original IN SELECT DISTINCT reverses FROM transfers WHERE reverses IS NOT NULL LOOP
                INSERT INTO reversed_totals (transfer_id, amount, reversed)
                SELECT id, amount, (SELECT sum(amount) FROM transfers WHERE reverses = original)
                FROM transfers WHERE id = original
                ON CONFLICT DO NOTHING;
                PERFORM FROM reversed_totals WHERE transfer_id = original FOR UPDATE;
                UPDATE reversed_totals SET reversed = (SELECT sum(amount) FROM transfers WHERE reverses = original)
                WHERE transfer_id = original;
                COMMIT;
            END LOOP;
        END $$
    """)


def _refuse_all_other_writes() -> None:
    op.execute("""
        CREATE FUNCTION refuse_direct_write() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '% is written by a trigger alone: % refused', TG_TABLE_NAME, TG_OP
                USING ERRCODE = 'restrict_violation';
        END $$
    """)
    op.execute("""
        CREATE TRIGGER written_by_trigger BEFORE INSERT OR UPDATE ON reversed_totals
        FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION refuse_direct_write()
    """)
    op.execute("""
        CREATE TRIGGER never_deleted BEFORE DELETE OR TRUNCATE ON reversed_totals
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_direct_write()
    """)


def downgrade() -> None:
    op.execute("DROP TRIGGER count_reversal ON transfers")
    op.drop_table("reversed_totals")
    op.execute("DROP FUNCTION count_reversal()")
    op.execute("DROP FUNCTION refuse_direct_write()")
