"""Let no role but the worker's have a payout sent: a bank's notice ends one, or puts it under review."""

from __future__ import annotations

from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

_BEFORE = """
                    session_user, NEW.id USING ERRCODE = 'check_violation';
            END IF;
        END IF;
        CASE TG_TABLE_NAME"""
_WITH_WEBHOOK = """
                    session_user, NEW.id USING ERRCODE = 'check_violation';
            END IF;
        END IF;
        IF TG_TABLE_NAME = 'withdrawals' AND TG_OP = 'UPDATE' AND session_user = 'bank_webhook' THEN
            IF NEW.status NOT IN ('succeeded', 'failed', 'reversed', 'needs_review') THEN
                RAISE EXCEPTION '% has no payout sent: withdrawal %', session_user, NEW.id
                    USING ERRCODE = 'check_violation';
            END IF;
        END IF;
        CASE TG_TABLE_NAME"""


def upgrade() -> None:
    _change(_BEFORE, _WITH_WEBHOOK)


def downgrade() -> None:
    _change(_WITH_WEBHOOK, _BEFORE)


def _change(before: str, after: str) -> None:
    """The function stays as the migrations before left it, but for this place."""
    function = op.get_bind().exec_driver_sql("SELECT pg_get_functiondef('check_withdrawal'::regproc)").scalar_one()
    assert function.count(before) == 1, before
    op.get_bind().exec_driver_sql(function.replace(before, after))
