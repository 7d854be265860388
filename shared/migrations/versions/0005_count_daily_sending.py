"""Count on the wallet what its owner sends in a day, so that the daily limit reads one row, not the history."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("accounts", sa.Column("sent_on", sa.Date(), nullable=True))
    op.add_column("accounts", sa.Column("sent_today", sa.BigInteger(), nullable=False, server_default=sa.text("0")))
    op.create_check_constraint("sent_today_not_negative", "accounts", "sent_today >= 0")


def downgrade() -> None:
    op.drop_constraint("sent_today_not_negative", "accounts", type_="check")
    op.drop_column("accounts", "sent_today")
    op.drop_column("accounts", "sent_on")
