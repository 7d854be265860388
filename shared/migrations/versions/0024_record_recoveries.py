"""Record recoveries of a restored database: until one is finished, no payout leaves that a bank may have already."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

_TABLE = "recoveries"


def upgrade() -> None:
    op.create_table(
        _TABLE,
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("restored_to", sa.DateTime(timezone=True), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("restored_to <= begun_at", name=op.f("ck_recoveries_restored_to_the_past")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recoveries")),
    )
    op.create_index(
        "uq_recoveries_one_unfinished",
        _TABLE,
        [sa.text("(finished_at IS NULL)")],
        unique=True,
        postgresql_where="finished_at IS NULL",
    )
    op.add_column("withdrawals", sa.Column("ask_bank_first", sa.Boolean(), server_default="false", nullable=False))


def downgrade() -> None:
    op.drop_column("withdrawals", "ask_bank_first")
    op.drop_table(_TABLE)
