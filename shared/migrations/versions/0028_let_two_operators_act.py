"""Keep what operators do by hand, and let the database itself ask for a second operator where money may move."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

_TABLE = "operator_actions"
_ACTIONS = "('freeze', 'park', 'unfreeze', 'resolve', 'replay')"
_DEFINER = "LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp"

# A member of batua_operator who is no superuser: a superuser has every role, and may be shared.
_IS_OPERATOR = """
    CREATE FUNCTION is_operator() RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
        SELECT EXISTS (SELECT FROM pg_roles AS caller JOIN pg_roles AS operators ON operators.rolname = 'batua_operator'
                       WHERE caller.rolname = session_user AND NOT caller.rolsuper
                         AND pg_has_role(caller.oid, operators.oid, 'MEMBER'))
    $$
"""

# `session_user` is who signed in; no role can change it. Nothing of a row but its end is taken from an UPDATE.
_KEEP = f"""
    CREATE FUNCTION keep_operator_action() RETURNS trigger {_DEFINER} AS $$
    DECLARE
        kept public.operator_actions;
    BEGIN
        IF TG_OP = 'INSERT' THEN
            NEW.proposed_by := session_user;
            NEW.proposed_at := now();
            NEW.decision := NULL;
            NEW.decided_by := NULL;
            NEW.decided_at := NULL;
            IF NEW.action IN ('freeze', 'park') THEN
                NEW.expires_at := NULL;
                NEW.done_in := pg_current_xact_id()::text;
                RETURN NEW;
            END IF;
            IF NOT public.is_operator() THEN
                RAISE EXCEPTION '% is not an operator', session_user USING ERRCODE = 'insufficient_privilege';
            END IF;
            NEW.expires_at := now() + interval '8 hours';
            NEW.done_in := NULL;
            NEW.outcome := NULL;
            RETURN NEW;
        END IF;
        kept := OLD;
        IF OLD.done_in = pg_current_xact_id()::text AND OLD.outcome IS NULL THEN
            kept.outcome := NEW.outcome;
            RETURN kept;
        END IF;
        IF OLD.done_in IS NOT NULL OR OLD.decision IS NOT NULL OR NEW.decision IS NULL THEN
            RAISE EXCEPTION 'an action of an operator is decided once' USING ERRCODE = 'restrict_violation';
        END IF;
        IF NOT public.is_operator() THEN
            RAISE EXCEPTION '% is not an operator', session_user USING ERRCODE = 'insufficient_privilege';
        END IF;
        kept.decision := NEW.decision;
        kept.decided_by := session_user;
        kept.decided_at := now();
        IF NEW.decision = 'confirmed' THEN
            IF OLD.proposed_by = session_user THEN
                RAISE EXCEPTION 'another operator than % has to confirm it', session_user
                    USING ERRCODE = 'insufficient_privilege';
            END IF;
            IF OLD.expires_at <= now() THEN
                RAISE EXCEPTION 'the proposal has expired' USING ERRCODE = 'restrict_violation';
            END IF;
            kept.done_in := pg_current_xact_id()::text;
        END IF;
        RETURN kept;
    END $$
"""

# What an operator's role changes, an action that is carried out in this transaction says so. The schema's owner is not
# judged (docs/adr), and services have rights of their own: for them the triggers do not run.
_GUARD = f"""
    CREATE FUNCTION guard_operator() RETURNS trigger {_DEFINER} AS $$
    BEGIN
        IF pg_has_role(session_user, current_user, 'MEMBER') THEN
            RETURN NEW;
        END IF;
        PERFORM FROM public.operator_actions AS done
        LEFT JOIN public.webhook_inbox AS delivery ON delivery.id = done.subject_id
        WHERE done.done_in = pg_current_xact_id()::text AND CASE TG_TABLE_NAME
            WHEN 'accounts' THEN done.subject_id = (to_jsonb(NEW) ->> 'owner_id')::uuid
                AND done.action = CASE WHEN to_jsonb(NEW) ->> 'frozen_at' IS NULL THEN 'unfreeze' ELSE 'freeze' END
            WHEN 'webhook_inbox' THEN done.action = 'replay' AND done.subject_id = NEW.id
            WHEN 'on_ramps' THEN done.action = 'replay' AND delivery.bank = to_jsonb(NEW) ->> 'bank'
                AND delivery.payload ->> 'token' = to_jsonb(NEW) ->> 'token'
            ELSE done.action = 'replay' AND delivery.bank = to_jsonb(NEW) ->> 'bank'
                    AND delivery.payload ->> 'reference' = NEW.id::text
                OR done.action = 'park' AND done.subject_id = NEW.id AND to_jsonb(NEW) ->> 'status' = 'needs_review'
                OR done.action = 'resolve' AND done.subject_id = NEW.id
                    AND to_jsonb(NEW) ->> 'status'
                        = CASE done.arguments ->> 'decision' WHEN 'paid' THEN 'succeeded' WHEN 'failed' THEN 'failed' END
        END;
        IF NOT FOUND THEN
            RAISE EXCEPTION '% may change % % only as an action says that is carried out now', session_user,
                TG_TABLE_NAME, NEW.id USING ERRCODE = 'insufficient_privilege';
        END IF;
        RETURN NEW;
    END $$
"""

_NAME = f"""
    CREATE FUNCTION name_operator() RETURNS trigger {_DEFINER} AS $$
    BEGIN
        IF public.is_operator() THEN
            NEW.kind := 'operator_command';
            NEW.operator := left(session_user || ' (' || coalesce(NEW.operator, 'unnamed') || ')', 200);
        END IF;
        RETURN NEW;
    END $$
"""

_FUNCTIONS = ("is_operator", "keep_operator_action", "guard_operator", "name_operator")
# What operators replay and resolve; triggers at commit match it to its row.
_ELSE = "ELSE ARRAY[]::text[] END"
_ELSE_OPERATOR = (
    "ELSE CASE WHEN public.is_operator() THEN ARRAY['onramp', 'payout', 'payout_reversal'] ELSE ARRAY[]::text[] END END"
)


def upgrade() -> None:
    op.create_table(
        _TABLE,
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("arguments", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("proposed_by", sa.String(), nullable=False),
        sa.Column("proposed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision", sa.String(), nullable=True),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done_in", sa.String(), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.CheckConstraint(f"action IN {_ACTIONS}", name=op.f("ck_operator_actions_action")),
        sa.CheckConstraint("decision IN ('confirmed', 'declined')", name=op.f("ck_operator_actions_decision")),
        sa.CheckConstraint(
            "(decision IS NULL) = (decided_by IS NULL) AND (decision IS NULL) = (decided_at IS NULL)",
            name=op.f("ck_operator_actions_decided_whole"),
        ),
        sa.CheckConstraint(
            "expires_at IS NULL OR (done_in IS NOT NULL) = (decision IS NOT DISTINCT FROM 'confirmed')",
            name=op.f("ck_operator_actions_done_if_confirmed"),
        ),
        sa.CheckConstraint(
            "decided_by <> proposed_by OR decision = 'declined'", name=op.f("ck_operator_actions_two_operators")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operator_actions")),
    )
    op.create_index("ix_operator_actions_subject_id", _TABLE, ["subject_id"])
    op.create_index("ix_operator_actions_open", _TABLE, ["expires_at"], postgresql_where=sa.text("decision IS NULL"))
    for function in (_IS_OPERATOR, _KEEP, _GUARD, _NAME):
        op.execute(function)
    for name in _FUNCTIONS:
        op.execute(f"REVOKE ALL ON FUNCTION {name}() FROM PUBLIC")
    op.execute(f"""
        CREATE TRIGGER keep_operator_action BEFORE INSERT OR UPDATE ON {_TABLE}
        FOR EACH ROW EXECUTE FUNCTION keep_operator_action()
    """)
    op.execute(f"""
        CREATE TRIGGER append_only BEFORE DELETE OR TRUNCATE ON {_TABLE}
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
    """)
    _change_posting(_ELSE, _ELSE_OPERATOR)


def downgrade() -> None:
    _change_posting(_ELSE_OPERATOR, _ELSE)
    op.drop_table(_TABLE)
    for name in reversed(_FUNCTIONS):
        op.execute(f"DROP FUNCTION {name}()")


def _change_posting(before: str, after: str) -> None:
    """The function stays as the migrations before left it, but for this place."""
    function = op.get_bind().scalar(sa.text("SELECT pg_get_functiondef('post_to_ledger'::regproc)"))
    assert function.count(before) == 1, before
    op.get_bind().exec_driver_sql(function.replace(before, after))
