"""Keep the recovery codes of the platform's own user."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

_TABLE = "recovery_codes"


def upgrade() -> None:
    op.create_table(
        _TABLE,
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("code_hash", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name=op.f("fk_recovery_codes_owner_id_owners")),
        sa.PrimaryKeyConstraint("owner_id", "code_hash", name=op.f("pk_recovery_codes")),
    )


def downgrade() -> None:
    op.drop_table(_TABLE)
