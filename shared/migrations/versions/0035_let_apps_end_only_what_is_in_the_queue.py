"""Let the apps end a withdrawal only from the queue: what a bank may have is settled by what talks to banks."""

from __future__ import annotations

from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

_BEFORE = """
        CASE TG_TABLE_NAME
            WHEN 'holds' THEN"""
_WITH_QUEUE = """
        IF TG_TABLE_NAME = 'withdrawals' AND TG_OP = 'UPDATE' AND session_user IN ('user_app', 'merchant_app') THEN
            IF OLD.status <> 'queued' OR OLD.ask_bank_first OR NEW.status <> 'cancelled' THEN
                RAISE EXCEPTION '% cancels withdrawals in the queue and ends no other: withdrawal %',
                    session_user, NEW.id USING ERRCODE = 'check_violation';
            END IF;
        END IF;
        CASE TG_TABLE_NAME
            WHEN 'holds' THEN"""


def upgrade() -> None:
    _change(_BEFORE, _WITH_QUEUE)


def downgrade() -> None:
    _change(_WITH_QUEUE, _BEFORE)


def _change(before: str, after: str) -> None:
    """The function stays as the migrations before left it, but for this place."""
    function = op.get_bind().exec_driver_sql("SELECT pg_get_functiondef('check_withdrawal'::regproc)").scalar_one()
    assert function.count(before) == 1, before
    op.get_bind().exec_driver_sql(function.replace(before, after))
