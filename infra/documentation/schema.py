"""Write docs/schema.sql: the schema that the migrations make, with what each table is for.

`python -m infra.documentation.schema` starts a PostgreSQL of its own, migrates it and dumps the schema.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from infra.local import postgres
from infra.local.layout import CHECKOUT, PROCESSES
from infra.local.ports import is_free
from infra.local.stack import Stack
from shared.db.base import Base
from shared.migrations import runner

FILE = CHECKOUT / "docs/schema.sql"
HEADER = "-- The schema of Batua, made from shared/migrations by `make docs`. Amounts are paise, times are UTC.\n"
DUMP_SECONDS = 60
_PORT_BASES = range(31000, 32700, 100)
# Comments, session settings and psql commands of pg_dump, which change with its version.
_NOISE = re.compile(r"--.*|SET .*|SELECT pg_catalog\.set_config.*|\\.*")
_BLANK_LINES = re.compile(r"\n{3,}")
_TABLE = re.compile(r"^CREATE TABLE public\.(\w+) \(", re.MULTILINE)


def schema_sql(database_url: str) -> str:
    """The text of docs/schema.sql, from a migrated database."""
    dump = subprocess.run(  # noqa: S603 - a program of the installed wheel and an address of ours
        [
            str(postgres.program("pg_dump")),
            *("--schema-only", "--no-owner", "--no-privileges", "--exclude-table=alembic_version", database_url),
        ],
        check=True,
        capture_output=True,
        text=True,
        timeout=DUMP_SECONDS,
    ).stdout
    statements = "\n".join(line for line in dump.splitlines() if not _NOISE.fullmatch(line))
    documented = _TABLE.sub(lambda table: f"-- {_meaning(table[1])}\n{table[0]}", statements)
    return HEADER + _BLANK_LINES.sub("\n\n", f"\n{documented.strip()}\n")


def _meaning(table: str) -> str:
    """The docstring of the table's model, on one line."""
    model = next(mapper.class_ for mapper in Base.registry.mappers if mapper.class_.__tablename__ == table)
    return " ".join((model.__doc__ or "").split())


def main() -> None:
    """Write docs/schema.sql from a new database."""
    with _migrated_database() as url:
        FILE.write_text(schema_sql(url), encoding="utf-8")
    typer.echo(f"wrote {FILE.relative_to(CHECKOUT)}")


@contextmanager
def _migrated_database() -> Iterator[str]:
    """The address of a new database with the newest schema, in a PostgreSQL that ends with the block."""
    offset = PROCESSES["postgres"].port_offset or 0
    base = next(base for base in _PORT_BASES if is_free(base + offset))
    with tempfile.TemporaryDirectory(prefix="batua-schema-") as home:
        stack = Stack(Path(home), base)
        stack.start({"postgres"})
        try:
            url = stack.database_url(postgres.SUPERUSER, "postgres")
            runner.upgrade(url)
            yield url
        finally:
            stack.stop()


if __name__ == "__main__":
    main()
