"""Let an on-ramp end as expired or cancelled, and keep when its session ends and when its person asked to cancel.

Replicas of the version before answer 5xx about rows with a new status: a bank then sends its notice again.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_TABLE = "on_ramps"
_CHECK = "ck_on_ramps_status"
_STATUSES = "'pending', 'success', 'failure'"
_MORE_STATUSES = f"{_STATUSES}, 'expired', 'cancelled'"


def upgrade() -> None:
    # Each step can be repeated: the first ones stay committed when the last one fails.
    for name in ("expires_at", "cancel_requested_at"):
        op.add_column(_TABLE, sa.Column(name, sa.DateTime(timezone=True), nullable=True), if_not_exists=True)
    _check(_MORE_STATUSES)


def downgrade() -> None:
    op.execute(f"UPDATE {_TABLE} SET status = 'failure' WHERE status IN ('expired', 'cancelled')")  # noqa: S608
    _check(_STATUSES)
    for name in ("cancel_requested_at", "expires_at"):
        op.drop_column(_TABLE, name)


def _check(statuses: str) -> None:
    """Replace the check. Rows are read for it while others write."""
    op.execute(f"ALTER TABLE {_TABLE} DROP CONSTRAINT IF EXISTS {_CHECK}")
    op.execute(f"ALTER TABLE {_TABLE} ADD CONSTRAINT {_CHECK} CHECK (status IN ({statuses})) NOT VALID")
    with op.get_context().autocommit_block():
        op.execute(f"ALTER TABLE {_TABLE} VALIDATE CONSTRAINT {_CHECK}")
