"""Take a base backup of a running server with `pg_basebackup`, and verify it."""

from __future__ import annotations

import os
import shutil
from datetime import datetime
from pathlib import Path

from infra.backup.archive import Archive
from infra.backup.programs import find, run
from infra.local.environment import local_secrets
from infra.local.layout import Layout
from infra.local.postgres import SUPERUSER
from infra.local.secrets import postgres_password_name

BACKUP_SECONDS = 6 * 3600.0


def take(archive: Archive, *, now: datetime) -> Path:
    """Copy the whole server into a new folder, which has its name only once it is whole and verified.

    The server is that of libpq's variables (PGHOST, PGPORT, PGUSER, ...), and without them the local stack's. Raises
    ProgramFailed.
    """
    archive.base.mkdir(parents=True, exist_ok=True, mode=0o700)
    whole = archive.base / f"{now:%Y%m%dT%H%M%S%f}"
    partial = whole.with_suffix(".partial")
    copy = [str(find("pg_basebackup")), "--pgdata", str(partial), "--checkpoint", "fast", "--wal-method", "stream"]
    try:
        run([*copy, "--no-password"], environment=_connection(), seconds=BACKUP_SECONDS)
        run([str(find("pg_verifybackup")), str(partial)], seconds=BACKUP_SECONDS)
        partial.rename(whole)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return whole


def _connection() -> dict[str, str]:
    environment = dict(os.environ)
    layout = Layout.from_environment()
    if "PGHOST" not in environment and "PGSERVICE" not in environment and layout.secrets_file.exists():
        environment |= {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(layout.port("postgres")),
            "PGUSER": SUPERUSER,
            "PGPASSWORD": local_secrets(layout)[postgres_password_name(SUPERUSER)],
        }
    return environment
