"""`batua users`: users that do not come from a sign-up page."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer
from pydantic import ValidationError

from infra.cli.failures import exit_with, read_settings
from infra.local.environment import load_local_environment
from shared.auth.errors import EmailTaken
from shared.auth.passwords import Hasher
from shared.auth.registration import hash_credentials, register_person
from shared.config import DatabaseSettings, PasswordSettings
from shared.db.engine import create_engine, create_sessionmaker
from shared.http.fields import Body, Email, Password, Pin

app = typer.Typer(help="Users that do not come from a sign-up page.", no_args_is_help=True)

FIRST_NAME, LAST_NAME = "Batua", "System"


class SystemUserSettings(DatabaseSettings, PasswordSettings):
    """The database, and how passwords and PINs are hashed."""


class NewSystemUser(Body):
    """The same rules as at sign-up."""

    email: Email
    password: Password
    pin: Pin


@app.callback()
def users() -> None:
    """With a callback, `create-system` stays a subcommand although it is the only one."""


@app.command("create-system")
def create_system(
    email: Annotated[str, typer.Option(prompt=True)],
    password: Annotated[str, typer.Option(prompt=True, hide_input=True, confirmation_prompt=True)],
    pin: Annotated[str, typer.Option(prompt="PIN", hide_input=True, confirmation_prompt=True)],
) -> None:
    """Create the platform's own user, who may give initial funds. Missing values are asked for."""
    load_local_environment()
    settings = read_settings(SystemUserSettings)
    try:
        asked = NewSystemUser.model_validate({"email": email, "password": password, "pin": pin})
    except ValidationError as error:
        for problem in error.errors(include_input=False, include_url=False):
            typer.echo(f"{problem['loc'][0]}: {problem['msg']}", err=True)
        raise typer.Exit(2) from None
    try:
        wallet_id = asyncio.run(_create(settings, asked))
    except EmailTaken as error:
        raise exit_with(error.title) from None
    typer.echo(f"{asked.email} may give initial funds. Wallet id: {wallet_id}")


async def _create(settings: SystemUserSettings, asked: NewSystemUser) -> str:
    hasher = Hasher(settings)
    engine = create_engine(settings, application_name="batua users")
    try:
        credentials = await hash_credentials(
            hasher,
            email=asked.email,
            password=asked.password.get_secret_value(),
            pin=asked.pin.get_secret_value(),
        )
        async with create_sessionmaker(engine).begin() as session:
            wallet = await register_person(
                session, credentials=credentials, first_name=FIRST_NAME, last_name=LAST_NAME, is_system=True
            )
    finally:
        hasher.close()
        await engine.dispose()
    return wallet.handle or ""
