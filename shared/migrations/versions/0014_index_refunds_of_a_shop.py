"""Index the refunds that a shop made by their time: their sum over some days reads these alone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_NAME = "ix_transfers_refunds"


def upgrade() -> None:
    with op.get_context().autocommit_block():  # built beside what is going on, and whole or begun anew
        op.drop_index(_NAME, "transfers", if_exists=True, postgresql_concurrently=True)
        op.create_index(
            _NAME,
            "transfers",
            ["debit_account_id", "created_at"],
            postgresql_include=["amount"],
            postgresql_where=sa.text("kind = 'refund'"),
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    op.drop_index(_NAME, "transfers")
