"""Refuse to delete what a bank said within the last five years."""

from __future__ import annotations

from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TRIGGER keep_five_years BEFORE DELETE ON webhook_inbox
        FOR EACH ROW WHEN (OLD.received_at > now() - interval '5 years') EXECUTE FUNCTION refuse_change()
    """)
    op.execute("""
        CREATE TRIGGER append_only BEFORE TRUNCATE ON webhook_inbox
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """)


def downgrade() -> None:
    op.execute("DROP TRIGGER append_only ON webhook_inbox")
    op.execute("DROP TRIGGER keep_five_years ON webhook_inbox")
