"""Drop an index of transfers that no query reads, and leave room on the pages of accounts for their updates."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

INDEX = "ix_transfers_initiated_by_created_at"


def upgrade() -> None:
    # An update that stays on its page writes no index. Pages that are full now get room with their next update.
    op.execute("ALTER TABLE accounts SET (fillfactor = 90)")
    # Concurrently, so that transfers go on. It waits for open transactions, and can be repeated when it gives up.
    with op.get_context().autocommit_block():
        op.drop_index(INDEX, "transfers", postgresql_concurrently=True, if_exists=True)


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index(
            INDEX, "transfers", ["initiated_by", "created_at"], postgresql_concurrently=True, if_not_exists=True
        )
    op.execute("ALTER TABLE accounts RESET (fillfactor)")
