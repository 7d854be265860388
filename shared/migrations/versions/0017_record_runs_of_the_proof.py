"""Record runs of the proof: while a failure stands there, no payout leaves."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_TABLE = "proof_runs"


def upgrade() -> None:
    op.create_table(
        _TABLE,
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("result", sa.String(), nullable=True),
        sa.Column("findings", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False),
        sa.Column("banks", postgresql.ARRAY(sa.String()), server_default="{}", nullable=False),
        sa.Column("transfers", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("transfers_through", sa.Uuid(), nullable=True),
        sa.Column("accounts_through", sa.Uuid(), nullable=True),
        sa.Column("superseded_by", sa.Uuid(), nullable=True),
        sa.Column("alerted_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('quick', 'whole')", name=op.f("ck_proof_runs_kind")),
        sa.CheckConstraint("result IN ('passed', 'failed')", name=op.f("ck_proof_runs_result")),
        sa.CheckConstraint("(result IS NULL) = (finished_at IS NULL)", name=op.f("ck_proof_runs_finished_with_result")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_proof_runs")),
    )
    op.create_index("ix_proof_runs_started_at", _TABLE, ["started_at"])
    op.create_index(
        "ix_proof_runs_finished", _TABLE, ["kind", "finished_at"], postgresql_where="finished_at IS NOT NULL"
    )
    op.create_index("ix_proof_runs_passed", _TABLE, ["transfers_through"], postgresql_where="result = 'passed'")
    op.create_index(
        "ix_proof_runs_standing",
        _TABLE,
        ["started_at"],
        postgresql_where="result = 'failed' AND superseded_by IS NULL",
    )


def downgrade() -> None:
    op.drop_table(_TABLE)
