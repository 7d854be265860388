"""Create on-ramps, withdrawals with their timeline, bank circuits, the webhook inbox and findings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "on_ramps",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("bank", sa.String(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("idempotency_key", sa.String(), nullable=False),
        sa.Column("token", sa.String(), nullable=True),
        sa.Column("redirect_url", sa.String(), nullable=True),
        sa.Column("bank_reference", sa.String(), nullable=True),
        sa.Column("failure_reason", sa.String(), nullable=True),
        sa.Column("transfer_id", sa.Uuid(), nullable=True),
        sa.Column("is_late_success", sa.Boolean(), nullable=False),
        sa.Column("is_contradicted", sa.Boolean(), nullable=False),
        sa.Column("next_enquiry_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(status = 'pending') = (settled_at IS NULL)", name=op.f("ck_on_ramps_settled_when_not_pending")
        ),
        sa.CheckConstraint(
            "(status = 'success') = (transfer_id IS NOT NULL)", name=op.f("ck_on_ramps_success_has_transfer")
        ),
        sa.CheckConstraint("status IN ('pending', 'success', 'failure')", name=op.f("ck_on_ramps_status")),
        sa.CheckConstraint("amount > 0", name=op.f("ck_on_ramps_amount_positive")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_on_ramps_account_id_accounts")),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name=op.f("fk_on_ramps_owner_id_owners")),
        sa.ForeignKeyConstraint(["transfer_id"], ["transfers.id"], name=op.f("fk_on_ramps_transfer_id_transfers")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_on_ramps")),
        sa.UniqueConstraint("bank", "token", name=op.f("uq_on_ramps_bank_token")),
        sa.UniqueConstraint("transfer_id", name=op.f("uq_on_ramps_transfer_id")),
    )
    op.create_index("ix_on_ramps_owner_id_id", "on_ramps", ["owner_id", "id"], unique=False)
    op.create_index("ix_on_ramps_owner_id_idempotency_key", "on_ramps", ["owner_id", "idempotency_key"], unique=False)
    op.create_index(
        "ix_on_ramps_pending",
        "on_ramps",
        ["next_enquiry_at"],
        unique=False,
        postgresql_where=sa.text("status = 'pending'"),
    )
    op.create_table(
        "withdrawals",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("bank", sa.String(), nullable=False),
        sa.Column("account_number", sa.String(), nullable=False),
        sa.Column("ifsc", sa.String(), nullable=False),
        sa.Column("account_holder", sa.String(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("hold_id", sa.Uuid(), nullable=False),
        sa.Column("transfer_id", sa.Uuid(), nullable=True),
        sa.Column("reversal_transfer_id", sa.Uuid(), nullable=True),
        sa.Column("utr", sa.String(), nullable=True),
        sa.Column("failure_reason", sa.String(), nullable=True),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("retries", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("lease_id", sa.Uuid(), nullable=True),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("first_not_found_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("active_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(status = 'reversed') = (reversal_transfer_id IS NOT NULL)",
            name=op.f("ck_withdrawals_reversed_has_transfer"),
        ),
        sa.CheckConstraint(
            "(status IN ('succeeded', 'failed', 'cancelled', 'reversed')) = (finished_at IS NOT NULL)",
            name=op.f("ck_withdrawals_finished_when_final"),
        ),
        sa.CheckConstraint(
            "(status IN ('succeeded', 'reversed')) = (transfer_id IS NOT NULL)",
            name=op.f("ck_withdrawals_paid_has_transfer"),
        ),
        sa.CheckConstraint(
            "status IN ('queued', 'in_flight', 'waiting', 'unknown', 'needs_review', 'succeeded', 'failed', 'cancelled', 'reversed')",
            name=op.f("ck_withdrawals_status"),
        ),
        sa.CheckConstraint("(lease_id IS NULL) = (lease_expires_at IS NULL)", name=op.f("ck_withdrawals_lease_whole")),
        sa.CheckConstraint("amount > 0", name=op.f("ck_withdrawals_amount_positive")),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_withdrawals_account_id_accounts")),
        sa.ForeignKeyConstraint(["hold_id"], ["holds.id"], name=op.f("fk_withdrawals_hold_id_holds")),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name=op.f("fk_withdrawals_owner_id_owners")),
        sa.ForeignKeyConstraint(
            ["reversal_transfer_id"],
            ["transfers.id"],
            name=op.f("fk_withdrawals_reversal_transfer_id_transfers"),
        ),
        sa.ForeignKeyConstraint(["transfer_id"], ["transfers.id"], name=op.f("fk_withdrawals_transfer_id_transfers")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_withdrawals")),
        sa.UniqueConstraint("hold_id", name=op.f("uq_withdrawals_hold_id")),
        sa.UniqueConstraint("reversal_transfer_id", name=op.f("uq_withdrawals_reversal_transfer_id")),
        sa.UniqueConstraint("transfer_id", name=op.f("uq_withdrawals_transfer_id")),
    )
    op.create_index(
        "ix_withdrawals_due",
        "withdrawals",
        ["next_attempt_at"],
        unique=False,
        postgresql_where=sa.text("status IN ('in_flight', 'waiting', 'unknown', 'needs_review')"),
    )
    op.create_index("ix_withdrawals_owner_id_id", "withdrawals", ["owner_id", "id"], unique=False)
    op.create_index(
        "ix_withdrawals_queued",
        "withdrawals",
        ["owner_id", "id"],
        unique=False,
        postgresql_where=sa.text("status = 'queued'"),
    )
    op.create_index(
        "uq_withdrawals_one_active_per_owner",
        "withdrawals",
        ["owner_id"],
        unique=True,
        postgresql_where=sa.text("status IN ('in_flight', 'waiting', 'unknown', 'needs_review')"),
    )
    op.create_table(
        "webhook_inbox",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("bank", sa.String(), nullable=False),
        sa.Column("webhook_id", sa.String(), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("on_ramp_id", sa.Uuid(), nullable=True),
        sa.Column("withdrawal_id", sa.Uuid(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "verdict IN ('settled', 'noted', 'duplicate', 'unknown_token', 'unknown_reference', 'amount_mismatch', 'user_mismatch', 'contradiction')",
            name=op.f("ck_webhook_inbox_verdict"),
        ),
        sa.ForeignKeyConstraint(["on_ramp_id"], ["on_ramps.id"], name=op.f("fk_webhook_inbox_on_ramp_id_on_ramps")),
        sa.ForeignKeyConstraint(
            ["withdrawal_id"], ["withdrawals.id"], name=op.f("fk_webhook_inbox_withdrawal_id_withdrawals")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_inbox")),
        sa.UniqueConstraint("bank", "webhook_id", name=op.f("uq_webhook_inbox_bank_webhook_id")),
    )
    op.create_table(
        "withdrawal_events",
        sa.Column("withdrawal_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "status IN ('queued', 'in_flight', 'waiting', 'unknown', 'needs_review', 'succeeded', 'failed', 'cancelled', 'reversed')",
            name=op.f("ck_withdrawal_events_status"),
        ),
        sa.ForeignKeyConstraint(
            ["withdrawal_id"], ["withdrawals.id"], name=op.f("fk_withdrawal_events_withdrawal_id_withdrawals")
        ),
        sa.PrimaryKeyConstraint("withdrawal_id", "seq", name=op.f("pk_withdrawal_events")),
    )


def downgrade() -> None:
    # A table takes its indexes with it.
    for table in (
        "withdrawal_events",
        "webhook_inbox",
        "withdrawals",
        "on_ramps",
    ):
        op.drop_table(table)
