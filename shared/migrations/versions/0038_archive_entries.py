"""Let the schema's owner archive entries of sealed years behind an opening balance, and let no one else delete one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None

_OPENINGS, _SEALS = "opening_balances", "archived_seals"
_DEFINER = "LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off"
# `session_user` is who signed in; no role can change it.
_OWNER_ALONE = """
        IF NOT pg_has_role(session_user, current_user, 'MEMBER') THEN
            RAISE EXCEPTION '% may not write %', session_user, TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
        END IF;
"""
# 120 bits of a hash as a number: a sum of them does not depend on the order in which rows are read.
_DIGEST_NUMBER = """
    CREATE FUNCTION digest_number(said text) RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT ('x' || substr(hex, 1, 15))::bit(60)::bigint::numeric * 1152921504606846976
             + ('x' || substr(hex, 16, 15))::bit(60)::bigint
        FROM (SELECT encode(sha256(convert_to(said, 'UTF8')), 'hex') AS hex) AS hashed
    $$
"""
# The caller says how far and by which seal. All else is taken from the entries, which must all be here.
_KEEP_OPENING = f"""
    CREATE FUNCTION keep_opening_balance() RETURNS trigger {_DEFINER} AS $$
    DECLARE
        before public.opening_balances;
        gone record;
    BEGIN
        {_OWNER_ALONE}
        IF TG_OP = 'UPDATE' THEN
            before := OLD;
        ELSE
            before := ROW (NEW.account_id, 0, 0, '-infinity'::timestamptz, NULL, 0, 0, NULL);
        END IF;
        PERFORM FROM public.ledger_seal_ranges AS span
        JOIN public.ledger_seals AS seal ON seal.id = span.seal_id
        JOIN public.accounts AS account ON account.id = span.account_id
        LEFT JOIN public.inflow_watermarks AS mark ON mark.account_id = span.account_id
        WHERE span.seal_id = NEW.seal_id AND span.account_id = NEW.account_id AND before.account_id = NEW.account_id
          AND span.first_seq = before.seq + 1 AND span.last_seq = NEW.seq
          AND seal.sealed_at < now() - interval '1 year'
          AND (account.kind = 'wallet' OR account.kind = 'merchant' AND mark.seq >= NEW.seq);
        IF NOT FOUND THEN
            RAISE EXCEPTION 'entries of account % up to % may not be archived', NEW.account_id, NEW.seq
                USING ERRCODE = 'restrict_violation';
        END IF;
        SELECT count(*) AS entries, sum(entry.change) AS change, max(entry.created_at) AS newest_at,
               coalesce(sum(entry.amount * entry.weight) FILTER (WHERE is_payment), 0) AS amounts,
               coalesce(sum(entry.weight) FILTER (WHERE is_payment), 0) AS payments,
               bool_and(entry.balance_after = entry.expected) AS follow
        INTO gone
        FROM (
            SELECT line.amount, line.created_at, line.balance_after, line.change,
                   before.balance + sum(line.change) OVER (ORDER BY line.seq) AS expected,
                   line.direction = 'CREDIT' AND transfer.kind = 'payment' AS is_payment,
                   public.digest_number(extract(epoch FROM date_bin(
                       '15 minutes', line.created_at, TIMESTAMPTZ '2000-01-01 00:00:00+00'))::bigint::text) AS weight
            FROM (
                SELECT *, CASE direction WHEN 'CREDIT' THEN amount ELSE -amount END AS change FROM public.entries
                WHERE account_id = NEW.account_id AND seq > before.seq AND seq <= NEW.seq
            ) AS line
            CROSS JOIN LATERAL (SELECT kind FROM public.transfers WHERE id = line.transfer_id OFFSET 0) AS transfer
        ) AS entry;
        IF gone.entries IS DISTINCT FROM NEW.seq - before.seq OR NOT gone.follow
           OR gone.newest_at > now() - interval '1 year' THEN
            RAISE EXCEPTION 'entries of account % from % to % are too new, or do not follow each other', NEW.account_id,
                before.seq + 1, NEW.seq USING ERRCODE = 'restrict_violation';
        END IF;
        NEW.balance := before.balance + gone.change;
        NEW.last_entry_at := greatest(before.last_entry_at, gone.newest_at);
        NEW.inflow_amounts := before.inflow_amounts + gone.amounts;
        NEW.inflow_payments := before.inflow_payments + gone.payments;
        NEW.changed_at := now();
        RETURN NEW;
    END $$
"""  # noqa: S608 - constants of this file
_KEEP_SEAL = f"""
    CREATE FUNCTION keep_archived_seal() RETURNS trigger {_DEFINER} AS $$
    BEGIN
        {_OWNER_ALONE}
        PERFORM FROM public.ledger_seals AS seal
        WHERE seal.id = NEW.seal_id AND seal.sealed_at < now() - interval '1 year'
          AND seal.id = (SELECT coalesce(max(seal_id), 0) + 1 FROM public.archived_seals);
        IF NOT FOUND THEN
            RAISE EXCEPTION 'seal % is not the next one that may be archived', NEW.seal_id
                USING ERRCODE = 'restrict_violation';
        END IF;
        RETURN NEW;
    END $$
"""  # noqa: S608 - constants of this file
_KEEP_ENTRY = f"""
    CREATE FUNCTION keep_entry() RETURNS trigger {_DEFINER} AS $$
    BEGIN
        PERFORM FROM public.opening_balances
        WHERE account_id = OLD.account_id AND seq >= OLD.seq AND pg_has_role(session_user, current_user, 'MEMBER');
        IF NOT FOUND THEN
            RAISE EXCEPTION 'entries is append-only: DELETE refused' USING ERRCODE = 'restrict_violation';
        END IF;
        RETURN OLD;
    END $$
"""


def upgrade() -> None:
    op.execute(_DIGEST_NUMBER)
    _create_tables()
    op.add_column("ledger_seals", sa.Column("archives_through", sa.BigInteger(), server_default="0", nullable=False))
    for function in (_KEEP_OPENING, _KEEP_SEAL, _KEEP_ENTRY):
        op.execute(function)
    _trigger(_OPENINGS, "keep_opening_balance", "BEFORE INSERT OR UPDATE", each="ROW")
    _trigger(_OPENINGS, "append_only", "BEFORE DELETE OR TRUNCATE", function="refuse_change")
    _trigger(_SEALS, "keep_archived_seal", "BEFORE INSERT", each="ROW")
    _trigger(_SEALS, "append_only", "BEFORE UPDATE OR DELETE OR TRUNCATE", function="refuse_change")
    # One for deleting comes before the one that also refused it is replaced: at no moment may an entry be deleted.
    _trigger("entries", "keep_entry", "BEFORE DELETE", each="ROW")
    op.execute("DROP TRIGGER append_only ON entries")
    _trigger("entries", "append_only", "BEFORE UPDATE OR TRUNCATE", function="refuse_change")


def downgrade() -> None:
    op.execute("""
        DO $$ BEGIN
            IF EXISTS (SELECT FROM archived_seals) THEN
                RAISE EXCEPTION 'entries are archived, and the version before could not prove the ledger without them';
            END IF;
        END $$
    """)
    op.execute("DROP TRIGGER append_only ON entries")
    _trigger("entries", "append_only", "BEFORE UPDATE OR DELETE OR TRUNCATE", function="refuse_change")
    op.execute("DROP TRIGGER keep_entry ON entries")
    op.drop_column("ledger_seals", "archives_through")
    op.drop_table(_SEALS)
    op.drop_table(_OPENINGS)
    for function in ("keep_entry()", "keep_archived_seal()", "keep_opening_balance()", "digest_number(text)"):
        op.execute(f"DROP FUNCTION {function}")


def _create_tables() -> None:
    op.create_table(
        _OPENINGS,
        # No key refers to `accounts`: each payment would then ask whether it changes that key.
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("balance", sa.BigInteger(), nullable=False),
        sa.Column("last_entry_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seal_id", sa.BigInteger(), nullable=False),
        sa.Column("inflow_amounts", sa.Numeric(), nullable=False),
        sa.Column("inflow_payments", sa.Numeric(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["seal_id", "account_id"],
            ["ledger_seal_ranges.seal_id", "ledger_seal_ranges.account_id"],
            name=op.f("fk_opening_balances_seal_id_ledger_seal_ranges"),
        ),
        sa.PrimaryKeyConstraint("account_id", name=op.f("pk_opening_balances")),
    )
    op.create_index(op.f("ix_opening_balances_seal_id"), _OPENINGS, ["seal_id"])
    op.create_table(
        _SEALS,
        sa.Column("seal_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("file_name", sa.String(), nullable=False),
        sa.Column("file_hash", sa.String(), nullable=False),
        sa.Column("entries_away", sa.BigInteger(), nullable=False),
        sa.Column("rest_hash", sa.String(), nullable=False),
        sa.Column("transfers_sum", sa.Numeric(), nullable=False),
        sa.Column("openings_sum", sa.Numeric(), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["seal_id"], ["ledger_seals.id"], name=op.f("fk_archived_seals_seal_id_ledger_seals")),
        sa.PrimaryKeyConstraint("seal_id", name=op.f("pk_archived_seals")),
    )


def _trigger(table: str, name: str, when: str, *, each: str = "STATEMENT", function: str | None = None) -> None:
    op.execute(f"CREATE TRIGGER {name} {when} ON {table} FOR EACH {each} EXECUTE FUNCTION {function or name}()")
