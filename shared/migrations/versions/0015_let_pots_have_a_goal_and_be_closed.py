"""Give a pot a goal, and free the name of one that was closed: only open pots of one owner have different names."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_TABLE = "accounts"
_CHECK, _RULE = "ck_accounts_goal", "goal IS NULL OR (goal > 0 AND kind = 'pot')"
_NAMES, _OPEN_NAMES = "uq_accounts_pot_name", "uq_accounts_open_pot_name"


def upgrade() -> None:
    # Each step can be repeated: the first ones stay committed when a later one fails.
    op.add_column(_TABLE, sa.Column("goal", sa.BigInteger(), nullable=True), if_not_exists=True)
    op.execute(f"ALTER TABLE {_TABLE} DROP CONSTRAINT IF EXISTS {_CHECK}")
    op.execute(f"ALTER TABLE {_TABLE} ADD CONSTRAINT {_CHECK} CHECK ({_RULE}) NOT VALID")
    with op.get_context().autocommit_block():  # rows are read while others write
        op.execute(f"ALTER TABLE {_TABLE} VALIDATE CONSTRAINT {_CHECK}")
        _index(_OPEN_NAMES, "kind = 'pot' AND closed_at IS NULL")
        op.drop_index(_NAMES, _TABLE, if_exists=True, postgresql_concurrently=True)


def downgrade() -> None:
    # A closed pot may have the name of another one: its own id makes it different.
    op.execute(f"UPDATE {_TABLE} SET name = name || ' ' || id WHERE kind = 'pot' AND closed_at IS NOT NULL")  # noqa: S608
    with op.get_context().autocommit_block():
        _index(_NAMES, "kind = 'pot'")
        op.drop_index(_OPEN_NAMES, _TABLE, if_exists=True, postgresql_concurrently=True)
    op.drop_constraint(op.f(_CHECK), _TABLE, type_="check")
    op.drop_column(_TABLE, "goal")


def _index(name: str, where: str) -> None:
    """Build it beside what is going on, whole or begun anew."""
    op.drop_index(name, _TABLE, if_exists=True, postgresql_concurrently=True)
    op.create_index(
        name, _TABLE, ["owner_id", "name"], unique=True, postgresql_where=sa.text(where), postgresql_concurrently=True
    )
