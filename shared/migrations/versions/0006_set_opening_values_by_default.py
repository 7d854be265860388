"""Set the opening values of owners and accounts as defaults, so that services need no grant to write them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_STARTS_WITH = (
    ("owners", "is_system", "false"),
    ("accounts", "balance", "0"),
    ("accounts", "held", "0"),
    ("accounts", "allow_negative", "false"),
    ("accounts", "seq", "0"),
)


def upgrade() -> None:
    for table, column, value in _STARTS_WITH:
        op.alter_column(table, column, server_default=sa.text(value))


def downgrade() -> None:
    for table, column, _ in _STARTS_WITH:
        op.alter_column(table, column, server_default=None)
