"""Index the accounts that are frozen, which are few: a worker that claims payouts passes them over."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

_NAME = "ix_accounts_frozen"


def upgrade() -> None:
    with op.get_context().autocommit_block():  # built beside what is going on, and whole or begun anew
        op.drop_index(_NAME, "accounts", if_exists=True, postgresql_concurrently=True)
        op.create_index(
            _NAME,
            "accounts",
            ["id"],
            postgresql_where=sa.text("frozen_at IS NOT NULL"),
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    op.drop_index(_NAME, "accounts")
