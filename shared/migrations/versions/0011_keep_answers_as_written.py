"""Keep the answers of keyed requests as they were written: jsonb puts their members into an order of its own.

Rewrites `idempotency_keys`, which holds a week of keys. Requests with a key wait meanwhile.
"""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE idempotency_keys ALTER COLUMN body TYPE json USING body::json")


def downgrade() -> None:
    op.execute("ALTER TABLE idempotency_keys ALTER COLUMN body TYPE jsonb USING body::jsonb")
