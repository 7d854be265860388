"""Bundle the mails about money received: which message's mail tells of another, and when a bundle was closed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_TABLE = "outbox_messages"
_INDEXES = {
    "ix_outbox_messages_bundle": (["bundle_id"], "bundle_id IS NOT NULL AND sent_at IS NULL"),
    "ix_outbox_messages_bundles_of": (["owner_id", "closed_at"], "bundle_id = id"),
}


def upgrade() -> None:
    op.add_column(_TABLE, sa.Column("bundle_id", sa.Uuid(), nullable=True))
    op.add_column(_TABLE, sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True))
    with op.get_context().autocommit_block():  # built beside what is going on, and whole or begun anew
        for name, (columns, where) in _INDEXES.items():
            op.drop_index(name, _TABLE, if_exists=True, postgresql_concurrently=True)
            op.create_index(name, _TABLE, columns, postgresql_where=sa.text(where), postgresql_concurrently=True)


def downgrade() -> None:
    for name in _INDEXES:
        op.drop_index(name, _TABLE)
    op.drop_column(_TABLE, "closed_at")
    op.drop_column(_TABLE, "bundle_id")
