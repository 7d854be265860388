"""`batua migrate`: bring the schema up to date."""

from __future__ import annotations

from typing import Annotated

import typer

from infra.cli.audit import record_command
from infra.cli.failures import exit_with, read_settings
from infra.cli.output import AsJson, show
from infra.local.environment import load_local_environment
from infra.local.secrets import postgres_password_name
from infra.postgres.databases import ensure_database
from infra.postgres.roles import SERVICE_ROLES, grant_service_roles
from shared.config import DatabaseEngine, DatabaseSettings
from shared.db.engine import limits
from shared.migrations import runner
from shared.migrations.history import newest_revision
from shared.production import weak_secrets
from shared.secret_files import secret


class MigrationSettings(DatabaseSettings):
    """What the schema is made for."""

    database_engine: DatabaseEngine = "postgres"
    """`distributed` for an engine that speaks as Postgres does and has no advisory locks: rows take their place. It is
    chosen once, with the first migration."""


def migrate(
    service_roles: Annotated[
        bool,
        typer.Option(
            help="Also make the services' roles, with the passwords in BATUA_POSTGRES_PASSWORD_<ROLE>; "
            "BATUA_DATABASE_URL must then be a superuser's."
        ),
    ] = False,
    with_version_before: Annotated[
        bool,
        typer.Option(
            help="With --service-roles: leave the version before its rights too, until all services are replaced."
        ),
    ] = False,
    create_database: Annotated[
        bool,
        typer.Option(
            help="Make the database that BATUA_DATABASE_URL names first, unless the server has it; the role must be "
            "allowed to."
        ),
    ] = False,
    wait_seconds: Annotated[
        float, typer.Option(help="With --create-database: how long to wait for a server that does not answer yet.")
    ] = 0.0,
    as_json: AsJson = False,
) -> None:
    """Apply every migration that the database in BATUA_DATABASE_URL does not have yet, while the services go on."""
    load_local_environment()
    settings = read_settings(MigrationSettings)
    passwords = _passwords(is_production=settings.is_production) if service_roles else {}
    database_url = settings.database_url.get_secret_value()
    if create_database and ensure_database(database_url, wait_seconds=wait_seconds):
        _tell("The server did not have the database, and has it now.")
    runner.upgrade(database_url, engine=settings.database_engine, attempts=runner.MAX_ATTEMPTS, tell=_tell)
    if service_roles:
        grant_service_roles(
            database_url, passwords=passwords, limits=limits(settings), with_version_before=with_version_before
        )
    elif with_version_before:
        raise exit_with("--with-version-before says what --service-roles grants: give both.")
    record_command("migrate", service_roles=service_roles)
    answer = {"revision": newest_revision(), "service_roles": service_roles}
    show(answer, ["The database is up to date."], as_json=as_json)


def _tell(sentence: str) -> None:
    """What goes on meanwhile, on standard error."""
    typer.echo(sentence, err=True)


def _passwords(*, is_production: bool) -> dict[str, str]:
    """The services' passwords. Ends the command where one is missing, or weak in production."""
    names = {role: postgres_password_name(role) for role in SERVICE_ROLES}
    passwords = {role: secret(name) or "" for role, name in names.items()}
    missing = [name for role, name in names.items() if not passwords[role]]
    if missing:
        raise exit_with(f"Not set: {', '.join(missing)}.")
    weak = list(weak_secrets((name, passwords[role]) for role, name in names.items())) if is_production else []
    if weak:
        raise exit_with("; ".join(weak))
    return passwords
