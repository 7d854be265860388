"""Carry the trace of the request for an on-ramp on its row. Null where none is recorded."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("on_ramps", sa.Column("traceparent", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_column("on_ramps", "traceparent")
