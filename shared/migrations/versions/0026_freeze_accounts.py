"""Let accounts be frozen: `post_to_ledger` places no hold on one and debits it only for a payout that a bank has made."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

_MAY_BE_DEBITED = "(account.frozen_at IS NULL OR side.direction = 'CREDIT' OR side.kind = 'payout')"
# The function stays as the migrations before left it, but for these places. It keeps its owner, settings and grants.
_CHANGES = (
    (
        "ON account.id = hold.account_id AND account.closed_at IS NULL",
        "ON account.id = hold.account_id AND account.closed_at IS NULL AND account.frozen_at IS NULL",
    ),
    (
        "RETURNING account.id, account.kind, account.owner_id, account.currency, old.balance, old.seq",
        "RETURNING account.id, account.kind, account.owner_id, account.currency, account.frozen_at, old.balance, old.seq",
    ),
    (
        "WHERE account.currency = side.currency AND (is_trusted",
        f"WHERE account.currency = side.currency AND {_MAY_BE_DEBITED} AND (is_trusted",
    ),
)


def upgrade() -> None:
    op.add_column("accounts", sa.Column("frozen_at", sa.DateTime(timezone=True), nullable=True))
    _change([(before, after) for before, after in _CHANGES])


def downgrade() -> None:
    _change([(after, before) for before, after in _CHANGES])
    op.drop_column("accounts", "frozen_at")


def _change(places: list[tuple[str, str]]) -> None:
    function = op.get_bind().scalar(sa.text("SELECT pg_get_functiondef('post_to_ledger'::regproc)"))
    for before, after in places:
        assert function.count(before) == 1, before
        function = function.replace(before, after)
    op.get_bind().exec_driver_sql(function)
