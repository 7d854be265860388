"""Keep the second factor of the platform's own user."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_TABLE = "second_factors"


def upgrade() -> None:
    op.create_table(
        _TABLE,
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("sealed_secret", sa.String(), nullable=False),
        sa.Column("last_step", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name=op.f("fk_second_factors_owner_id_owners")),
        sa.PrimaryKeyConstraint("owner_id", name=op.f("pk_second_factors")),
    )


def downgrade() -> None:
    op.drop_table(_TABLE)
