"""Create triggers that keep the ledger append-only, and the platform's own accounts."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

APPEND_ONLY = ("transfers", "entries", "withdrawal_events", "ledger_seals", "ledger_seal_ranges")

# The same ids as in shared.ledger.system_accounts, repeated: a migration must not change with the code.
SYSTEM_ACCOUNTS = (
    ("00000000-0000-7000-8000-000000000001", "funding", "funding"),
    ("00000000-0000-7000-8000-000000000002", "suspense", "suspense"),
    ("00000000-0000-7000-8000-000000000003", "fees", "fees"),
    ("00000000-0000-7000-8000-000000000011", "bank_settlement", "hdfc"),
    ("00000000-0000-7000-8000-000000000012", "bank_settlement", "axis"),
)


def upgrade() -> None:
    op.execute("""
        CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP
                USING ERRCODE = 'restrict_violation';
        END $$
    """)
    for table in APPEND_ONLY:
        op.execute(f"""
            CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
        """)
    for account_id, kind, name in SYSTEM_ACCOUNTS:
        op.execute(f"""
            INSERT INTO accounts
                (id, owner_id, kind, name, currency, balance, held, allow_negative, seq, created_at)
            VALUES ('{account_id}', NULL, '{kind}', '{name}', 'INR', 0, 0, true, 0, now())
        """)  # noqa: S608 - constants of this file


def downgrade() -> None:
    for table in APPEND_ONLY:
        op.execute(f"DROP TRIGGER append_only ON {table}")
    op.execute("DROP FUNCTION refuse_change()")
    ids = ", ".join(f"'{account_id}'" for account_id, _, _ in SYSTEM_ACCOUNTS)
    op.execute(f"DELETE FROM accounts WHERE id IN ({ids})")  # noqa: S608 - constants of this file
