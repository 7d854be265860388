"""Make room for encrypted account numbers. `batua encrypt-account-numbers` fills it for the rows that are there."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_TABLE = "withdrawals"
_ENCRYPTED, _INDEX = "account_number_encrypted", "account_number_index"
_CHECK = "ck_withdrawals_number_encrypted_whole"
_RULE = (
    f"({_ENCRYPTED} IS NULL) = ({_INDEX} IS NULL) AND ({_ENCRYPTED} IS NULL OR account_number ~ '^X{{6}}[0-9]{{4}}$')"
)


def upgrade() -> None:
    # Each step can be repeated: the first ones stay committed when a later one fails.
    for column in (_ENCRYPTED, _INDEX):
        op.add_column(_TABLE, sa.Column(column, sa.String(), nullable=True), if_not_exists=True)
    op.execute(f"ALTER TABLE {_TABLE} DROP CONSTRAINT IF EXISTS {_CHECK}")
    op.execute(f"ALTER TABLE {_TABLE} ADD CONSTRAINT {_CHECK} CHECK ({_RULE}) NOT VALID")
    with op.get_context().autocommit_block():  # rows are read while others write
        op.execute(f"ALTER TABLE {_TABLE} VALIDATE CONSTRAINT {_CHECK}")


def downgrade() -> None:
    # Without its number, a payout could never be sent: only a table without encrypted ones goes back.
    op.execute(f"""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM {_TABLE} WHERE {_ENCRYPTED} IS NOT NULL) THEN
                RAISE EXCEPTION 'account numbers are encrypted, and going back would lose them';
            END IF;
        END $$
    """)
    op.drop_constraint(op.f(_CHECK), _TABLE, type_="check")
    for column in (_INDEX, _ENCRYPTED):
        op.drop_column(_TABLE, column)
