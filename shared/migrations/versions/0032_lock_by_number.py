"""Create the functions that lock a number until the transaction ends, as the database's engine can.

Advisory locks of Postgres are what they call unless the engine is `distributed`. There a lock is a row that is written and
deleted again: who writes the same number meanwhile waits for the end of the transaction that did.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import context, op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

_TABLE = "locked_numbers"
# A function of one expression costs nothing: Postgres puts the expression in its place.
_BY_ADVISORY_LOCK = (
    "CREATE FUNCTION lock_number(number bigint) RETURNS void LANGUAGE sql AS 'SELECT pg_advisory_xact_lock(number)'",
    """
    CREATE FUNCTION lock_number(room integer, number integer) RETURNS void
    LANGUAGE sql AS 'SELECT pg_advisory_xact_lock(room, number)'
    """,
    """
    CREATE FUNCTION try_lock_number(number bigint) RETURNS boolean
    LANGUAGE sql AS 'SELECT pg_try_advisory_xact_lock(number)'
    """,
)
_DEFINER = "LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp"
_WRITE = f"""
    INSERT INTO public.{_TABLE} (number) VALUES (asked);
    DELETE FROM public.{_TABLE} WHERE number = asked;
"""  # noqa: S608 - a constant of this file
_BY_ROW = (
    f"CREATE FUNCTION lock_number(asked bigint) RETURNS void {_DEFINER} AS $$ BEGIN {_WRITE} END $$",
    """
    CREATE FUNCTION lock_number(room integer, number integer) RETURNS void
    LANGUAGE sql AS 'SELECT lock_number((room::bigint << 32) | (number::bigint & 4294967295))'
    """,
    f"""
    CREATE FUNCTION try_lock_number(asked bigint) RETURNS boolean {_DEFINER} SET lock_timeout = '1ms' AS $$
    BEGIN
        {_WRITE}
        RETURN true;
    EXCEPTION WHEN lock_not_available THEN
        RETURN false;
    END $$
    """,
)


def _is_distributed() -> bool:
    return bool(context.config.attributes["database_engine"] == "distributed")


def upgrade() -> None:
    if _is_distributed():
        op.create_table(_TABLE, sa.Column("number", sa.BigInteger(), primary_key=True, autoincrement=False))
    for function in _BY_ROW if _is_distributed() else _BY_ADVISORY_LOCK:
        op.execute(function)


def downgrade() -> None:
    for signature in ("lock_number(bigint)", "lock_number(integer, integer)", "try_lock_number(bigint)"):
        op.execute(f"DROP FUNCTION {signature}")
    if _is_distributed():
        op.drop_table(_TABLE)
