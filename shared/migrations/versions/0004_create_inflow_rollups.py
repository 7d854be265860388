"""Create roll-ups of payments to shops, so that a report costs the same for any number of payments."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_accounts_merchants", "accounts", ["id"], postgresql_where=sa.text("kind = 'merchant'"))
    op.create_table(
        "inflow_watermarks",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("seq >= 0", name=op.f("ck_inflow_watermarks_seq_not_negative")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_inflow_watermarks_account_id_accounts")),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_inflow_watermarks")),
    )
    op.create_table(
        "inflow_rollups",
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("quarter_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("payments", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount > 0", name=op.f("ck_inflow_rollups_amount_positive")),
        sa.CheckConstraint("payments > 0", name=op.f("ck_inflow_rollups_payments_positive")),
        sa.CheckConstraint("mod(extract(epoch FROM quarter_start), 900) = 0", name=op.f("ck_inflow_rollups_quarter")),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["inflow_watermarks.account_id"],
            name=op.f("fk_inflow_rollups_account_id_inflow_watermarks"),
        ),
        sa.PrimaryKeyConstraint("account_id", "quarter_start", name=op.f("pk_inflow_rollups")),
    )


def downgrade() -> None:
    op.drop_table("inflow_rollups")
    op.drop_table("inflow_watermarks")
    op.drop_index("ix_accounts_merchants", table_name="accounts")
