"""Guard what an operator's role changes: without an action that says so, nothing. Services never run these triggers."""

from __future__ import annotations

from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

_NOT_A_SERVICE = "session_user::text NOT IN ('user_app', 'merchant_app', 'bank_webhook', 'withdraw_worker')"
# After the update: before one, Postgres would lock each row of a payment once more, only to find that nothing is to do.
_TRIGGERS = (
    ("name_operator", "BEFORE INSERT", "audit_events"),
    ("guard_operator", "AFTER UPDATE", "withdrawals"),
    ("guard_operator", "AFTER UPDATE", "on_ramps"),
    ("guard_operator", "AFTER UPDATE", "webhook_inbox"),
    ("guard_operator", "AFTER UPDATE OF frozen_at", "accounts"),
)


def upgrade() -> None:
    # Each by itself: payments that hold one of these tables and wait for another would else wait for each other with us.
    with op.get_context().autocommit_block():
        for name, event, table in _TRIGGERS:
            op.execute(f"DROP TRIGGER IF EXISTS {name} ON {table}")  # of a migration that was cut off
            op.execute(f"""
                CREATE TRIGGER {name} {event} ON {table}
                FOR EACH ROW WHEN ({_NOT_A_SERVICE}) EXECUTE FUNCTION {name}()
            """)


def downgrade() -> None:
    for name, _, table in _TRIGGERS:
        op.execute(f"DROP TRIGGER {name} ON {table}")
