"""Carry the trace of the request for a withdrawal on its row. Null where none is recorded."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("withdrawals", sa.Column("traceparent", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("withdrawals", "traceparent")
