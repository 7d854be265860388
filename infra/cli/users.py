"""`batua users`: users that do not come from a sign-up page."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, TypeVar
from uuid import UUID

import segno
import typer
from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from infra.cli.audit import operator
from infra.cli.failures import exit_with, read_settings
from infra.local.environment import load_local_environment
from shared import clock
from shared.audit.writing import add_command
from shared.auth import recovery_codes, second_factor
from shared.auth.errors import EmailTaken, WeakSecret
from shared.auth.passwords import Hasher
from shared.auth.registration import hash_credentials, register_person
from shared.auth.second_factor import Enrolment
from shared.auth.weak_secrets import require_strong
from shared.config import DatabaseSettings, PasswordSettings
from shared.db.engine import create_engine, create_sessionmaker
from shared.http.fields import Body, Email, Password, Pin
from shared.models import Owner

app = typer.Typer(help="Users that do not come from a sign-up page.", no_args_is_help=True)

FIRST_NAME, LAST_NAME = "Batua", "System"

T = TypeVar("T")


class SystemUserSettings(DatabaseSettings, PasswordSettings):
    """The database, and how passwords and PINs are hashed."""


class NewSystemUser(Body):
    """The same rules as at sign-up; see also `require_strong`."""

    email: Email
    password: Password
    pin: Pin


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
        wallet_id, enrolment = asyncio.run(_create(settings, asked))
    except WeakSecret as error:
        for each in error.errors:
            typer.echo(f"{each.field}: {each.message}", err=True)
        raise typer.Exit(2) from None
    except EmailTaken as error:
        raise exit_with(error.title) from None
    typer.echo(f"{asked.email} may give initial funds. Wallet id: {wallet_id}")
    _show(enrolment)


@app.command("enrol-second-factor")
def enrol_second_factor(email: Annotated[str, typer.Option(prompt=True)]) -> None:
    """Enrol a new authenticator of the platform's own user, in place of an earlier one. It ends every session.

    The recovery codes are new too.
    """
    load_local_environment()

    async def enrol(session: AsyncSession, owner: Owner, settings: SystemUserSettings) -> Enrolment:
        owner.tokens_valid_after, owner.kept_token_id = clock.now(), None
        _add_command(session, "users enrol-second-factor", owner.id)
        return await second_factor.enrol(session, owner_id=owner.id, email=owner.email, settings=settings)

    _show(asyncio.run(_with_platform_user(email, enrol)))


@app.command("recovery-codes")
def recovery_codes_of(
    email: Annotated[str, typer.Option(prompt=True)],
    renew: Annotated[bool, typer.Option(help="Make new ones, in place of all that are left.")] = False,
) -> None:
    """Say how many recovery codes the platform's own user has left. Each signs in once, without the authenticator."""
    load_local_environment()

    async def make(session: AsyncSession, owner: Owner, settings: SystemUserSettings) -> list[str]:
        _add_command(session, "users recovery-codes --renew", owner.id)
        return await recovery_codes.renew(session, owner_id=owner.id, settings=settings)

    async def count(session: AsyncSession, owner: Owner, _: SystemUserSettings) -> int:
        return await recovery_codes.count_left(session, owner.id)

    if renew:
        _show_recovery_codes(asyncio.run(_with_platform_user(email, make)))
    else:
        typer.echo(f"{asyncio.run(_with_platform_user(email, count))} recovery codes are left.")


def _show(enrolment: Enrolment) -> None:
    """Print what enrols an authenticator, a code to scan and the same as text, and the recovery codes."""
    drawn = io.StringIO()
    segno.make(enrolment.address).terminal(out=drawn, border=2, compact=True)
    typer.echo(
        f"Scan this with an authenticator. It is shown once: who has it has the second factor.\n{drawn.getvalue()}"
    )
    typer.echo(enrolment.address)
    _show_recovery_codes(enrolment.recovery_codes)


def _show_recovery_codes(codes: Sequence[str]) -> None:
    typer.echo("\nKeep these recovery codes apart from the password. They are shown once, and no earlier ones work any")
    typer.echo("more. Each signs in once, in place of the code of a lost authenticator:")
    for code in codes:
        typer.echo(f"  {code}")


async def _with_platform_user(email: str, work: Callable[[AsyncSession, Owner, SystemUserSettings], Awaitable[T]]) -> T:
    """Do this to the platform's own user in one transaction. Ends the command if the email is not theirs."""
    settings = read_settings(SystemUserSettings)
    engine = create_engine(settings, application_name="batua users")
    try:
        async with create_sessionmaker(engine).begin() as session:
            found = select(Owner).where(Owner.kind == "user", Owner.email == email.strip().lower(), Owner.is_system)
            owner = await session.scalar(found.with_for_update())
            if owner is None:
                raise exit_with(f"{email} is not the platform's own user.")
            return await work(session, owner, settings)
    finally:
        await engine.dispose()


def _add_command(session: AsyncSession, what: str, owner_id: UUID) -> None:
    add_command(session, what=what, operator=operator(), facts={"owner_id": str(owner_id)})


async def _create(settings: SystemUserSettings, asked: NewSystemUser) -> tuple[str, Enrolment]:
    """The wallet id, and what enrols an authenticator."""
    password, pin = asked.password.get_secret_value(), asked.pin.get_secret_value()
    require_strong(email=asked.email, names=(FIRST_NAME, LAST_NAME), password=password, pin=pin)
    hasher = Hasher(settings)
    engine = create_engine(settings, application_name="batua users")
    try:
        credentials = await hash_credentials(hasher, email=asked.email, password=password, pin=pin)
        async with create_sessionmaker(engine).begin() as session:
            wallet = await register_person(
                session, credentials=credentials, first_name=FIRST_NAME, last_name=LAST_NAME, is_system=True
            )
            assert wallet.owner_id is not None
            enrolment = await second_factor.enrol(
                session, owner_id=wallet.owner_id, email=asked.email, settings=settings
            )
            _add_command(session, "users create-system", wallet.owner_id)
    finally:
        hasher.close()
        await engine.dispose()
    return wallet.handle or "", enrolment
