"""Write a row per mail: the worker moves what a mail tells of there, and changes no message for it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_TABLE = "mails"


def upgrade() -> None:
    op.create_table(
        _TABLE,
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=True),
        sa.Column("kinds", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("newest", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mails")),
    )
    op.create_index(
        "ix_mails_due", _TABLE, ["next_attempt_at"], postgresql_where=sa.text("next_attempt_at IS NOT NULL")
    )
    op.create_index(
        "ix_mails_bundles_of", _TABLE, ["owner_id", "closed_at"], postgresql_where=sa.text("amount IS NOT NULL")
    )


def downgrade() -> None:
    # The newest messages of a mail that was not sent are messages again; the older ones are in no table any more.
    op.execute(f"""
        INSERT INTO outbox_messages (id, kind, owner_id, facts, attempts, next_attempt_at, created_at)
        SELECT CASE WHEN number = 1 THEN id ELSE gen_random_uuid() END, kind, owner_id, facts, 0, now(), created_at
        FROM {_TABLE} CROSS JOIN LATERAL jsonb_array_elements(newest) WITH ORDINALITY AS told (facts, number)
        WHERE next_attempt_at IS NOT NULL
    """)  # noqa: S608 - a constant of this file
    op.drop_table(_TABLE)
