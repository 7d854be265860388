"""Let a replay write only what the bank's notice says: who confirms one must not make another end of it."""

from __future__ import annotations

from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

_SAME_ON_RAMP = """
                AND delivery.payload ->> 'token' = to_jsonb(NEW) ->> 'token'
"""
# A notice of another amount or person settles nothing; a failure after the success is only marked.
_AS_THE_NOTICE_SAYS = """
                AND delivery.payload ->> 'token' = to_jsonb(NEW) ->> 'token'
                AND delivery.payload ->> 'amount' = to_jsonb(NEW) ->> 'amount'
                AND delivery.payload ->> 'user_id' = to_jsonb(NEW) ->> 'owner_id'
                AND delivery.payload ->> 'event' = CASE
                    WHEN to_jsonb(NEW) ->> 'status' = 'success' AND to_jsonb(OLD) ->> 'status' <> 'success'
                    THEN 'success' ELSE 'failure' END
"""
_SAME_WITHDRAWAL = """
                    AND delivery.payload ->> 'reference' = NEW.id::text
"""
_AS_THE_PAYOUTS_NOTICE_SAYS = """
                    AND delivery.payload ->> 'reference' = NEW.id::text
                    AND to_jsonb(NEW) ->> 'status' = CASE
                        WHEN delivery.payload ->> 'amount' <> to_jsonb(NEW) ->> 'amount' THEN 'needs_review'
                        ELSE CASE delivery.payload ->> 'event' WHEN 'success' THEN 'succeeded'
                            WHEN 'failure' THEN 'failed' WHEN 'reversed' THEN 'reversed' END END
"""


def upgrade() -> None:
    _change((_SAME_ON_RAMP, _AS_THE_NOTICE_SAYS), (_SAME_WITHDRAWAL, _AS_THE_PAYOUTS_NOTICE_SAYS))


def downgrade() -> None:
    _change((_AS_THE_NOTICE_SAYS, _SAME_ON_RAMP), (_AS_THE_PAYOUTS_NOTICE_SAYS, _SAME_WITHDRAWAL))


def _change(*places: tuple[str, str]) -> None:
    """The function stays as the migrations before left it, but for these places."""
    function = op.get_bind().exec_driver_sql("SELECT pg_get_functiondef('guard_operator'::regproc)").scalar_one()
    for before, after in places:
        assert function.count(before) == 1, before
        function = function.replace(before, after)
    op.get_bind().exec_driver_sql(function)
