"""`batua migrate`: bring the schema up to date."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from infra.cli.failures import exit_with, read_settings
from infra.local.environment import load_local_environment
from infra.local.secrets import postgres_password_name
from infra.postgres.roles import SERVICE_ROLES, grant_service_roles
from shared.config import DatabaseSettings
from shared.migrations import runner


def migrate(
    service_roles: Annotated[
        bool,
        typer.Option(
            help="Also make the services' roles, with the passwords in BATUA_POSTGRES_PASSWORD_<ROLE>; "
            "BATUA_DATABASE_URL must then be a superuser's."
        ),
    ] = False,
) -> None:
    """Apply every migration that the database in BATUA_DATABASE_URL does not have yet."""
    load_local_environment()
    database_url = read_settings(DatabaseSettings).database_url.get_secret_value()
    runner.upgrade(database_url)
    if service_roles:
        names = {role: postgres_password_name(role) for role in SERVICE_ROLES}
        missing = [name for name in names.values() if not os.environ.get(name)]
        if missing:
            raise exit_with(f"Not set: {', '.join(missing)}.")
        grant_service_roles(database_url, passwords={role: os.environ[name] for role, name in names.items()})
    typer.echo("The database is up to date.")
