"""Keep the email addresses that are still to be confirmed. An owner without a row counts as confirmed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

_TABLE = "email_confirmations"


def upgrade() -> None:
    op.create_table(
        _TABLE,
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("token_hash", sa.String(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("counted_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("mails", sa.BigInteger(), nullable=False),
        sa.Column("gift", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name=op.f("fk_email_confirmations_owner_id_owners")),
        sa.PrimaryKeyConstraint("owner_id", name=op.f("pk_email_confirmations")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_email_confirmations_token_hash")),
    )


def downgrade() -> None:
    op.drop_table(_TABLE)
