"""Index the queue of each bank, first come first: a worker takes what is due for its free slots from the front."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_NAME = "ix_withdrawals_queue"


def upgrade() -> None:
    with op.get_context().autocommit_block():  # built beside what is going on, and whole or begun anew
        op.drop_index(_NAME, "withdrawals", if_exists=True, postgresql_concurrently=True)
        op.create_index(
            _NAME,
            "withdrawals",
            ["bank", "id"],
            postgresql_where=sa.text("status = 'queued'"),
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    op.drop_index(_NAME, "withdrawals")
