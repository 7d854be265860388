"""Spell names in one way (NFC), and keep of each what a search compares: without case and accents.

Postgres folds, with what it has built in since version 18, so it needs no ICU and does the same in a database of any locale.
Triggers write, so the version before keeps the columns too. What is there is spelled and folded a thousand rows at a time;
of the accounts, only those change whose name is spelled otherwise. Transfers are append-only: their notes stay as they are and
are folded when they are searched.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# Accents of Latin, Greek and Cyrillic, and what cannot be seen. The vowel signs of Indian scripts, and the points of Arabic
# and Hebrew, are marks too, but they are letters to their readers: they stay.
_ACCENTS = r"\u0300-\u036f\u0483-\u0487\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
_INVISIBLE = r"\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"
_ROWS = 1000


def upgrade() -> None:
    # Each step can be repeated: the first ones stay committed when a later one fails.
    _create_functions()
    for table in ("users", "merchants"):
        op.execute(f"ALTER TABLE {table} ADD COLUMN IF NOT EXISTS search varchar")
    _write_from_now_on("users", ("first_name", "last_name"), "NEW.first_name || ' ' || NEW.last_name")
    _write_from_now_on("merchants", ("business_name", "category"), "NEW.business_name")
    with op.get_context().autocommit_block():
        _write_what_there_is("users", "first_name")
        _write_what_there_is("merchants", "business_name")
        _spell_accounts()
        _create_index("ix_users_search", "users", "search_grams(search)")
        _create_index(
            "ix_accounts_wallet_id_search", "accounts", "search_grams(split_part(handle, '@', 1))", "kind = 'wallet'"
        )


def _create_functions() -> None:
    # Compatibility decomposition takes accents off their letters, and makes wide letters and ligatures plain. Case folding
    # knows ß and the final sigma. The letters that are left have no decomposition.
    op.execute(rf"""
        CREATE OR REPLACE FUNCTION search_fold(said text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
        RETURN CASE WHEN octet_length(said) = char_length(said) THEN lower(said COLLATE "C") COLLATE "C"
        ELSE replace(replace(replace(translate(casefold(
            regexp_replace(normalize(said, NFKD) COLLATE "C", '[{_ACCENTS}{_INVISIBLE}]+', '', 'g')
        COLLATE "pg_unicode_fast"), 'ıøđłħŧð', 'iodlhtd'), 'æ', 'ae'), 'œ', 'oe'), 'þ', 'th') COLLATE "C" END
    """)
    # Every two letters that follow each other. pg_trgm would leave out what the database's locale does not call a letter.
    op.execute("""
        CREATE OR REPLACE FUNCTION search_grams(folded text) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE COST 2000
        RETURN ARRAY(SELECT DISTINCT substr(folded, place, 2) FROM generate_series(1, char_length(folded) - 1) place)
    """)


def _write_from_now_on(table: str, names: tuple[str, ...], searched: str) -> None:
    spelled = " ".join(f"NEW.{name} := normalize(NEW.{name}, NFC);" for name in names)
    op.execute(f"""
        CREATE OR REPLACE FUNCTION spell_{table}() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            {spelled}
            NEW.search := public.search_fold({searched});
            RETURN NEW;
        END $$
    """)
    op.execute(f"""
        CREATE OR REPLACE TRIGGER spelled BEFORE INSERT OR UPDATE OF {", ".join(names)} ON {table}
        FOR EACH ROW EXECUTE FUNCTION spell_{table}()
    """)


def _write_what_there_is(table: str, name: str) -> None:
    op.execute(f"""
        DO $$
        DECLARE
            part uuid[] := ARRAY['00000000-0000-0000-0000-000000000000'];
        BEGIN
            LOOP
                part := ARRAY(
                    SELECT id FROM {table} WHERE id > part[cardinality(part)] ORDER BY id LIMIT {_ROWS}
                );
                EXIT WHEN cardinality(part) = 0;
                UPDATE {table} SET {name} = {name} WHERE id = ANY (part) AND search IS NULL;
                COMMIT;
            END LOOP;
        END $$
    """)  # noqa: S608 - constants of this file


def _spell_accounts() -> None:
    # Committed one by one, because transfers wait for the row. A pot keeps its spelling when its owner has another pot of
    # the same name in the other one.
    op.execute("""
        DO $$
        DECLARE
            spelled uuid;
        BEGIN
            FOR spelled IN SELECT id FROM accounts WHERE name IS NOT NFC NORMALIZED ORDER BY id LOOP
                BEGIN
                    UPDATE accounts SET name = normalize(name, NFC) WHERE id = spelled;
                EXCEPTION WHEN unique_violation THEN
                    NULL;
                END;
                COMMIT;
            END LOOP;
        END $$
    """)


def _create_index(name: str, table: str, grams: str, where: str | None = None) -> None:
    op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)
    op.create_index(
        name,
        table,
        [sa.text(grams)],
        postgresql_using="gin",
        postgresql_where=None if where is None else sa.text(where),
        postgresql_concurrently=True,
    )


def downgrade() -> None:
    op.drop_index("ix_accounts_wallet_id_search", "accounts")
    op.drop_index("ix_users_search", "users")
    for table in ("users", "merchants"):
        op.execute(f"DROP TRIGGER spelled ON {table}")
        op.execute(f"DROP FUNCTION spell_{table}()")
        op.drop_column(table, "search")
    op.execute("DROP FUNCTION search_grams(text)")
    op.execute("DROP FUNCTION search_fold(text)")
