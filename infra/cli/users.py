"""`batua users`: users that do not come from a sign-up page."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Annotated, Any, TypeVar
from uuid import UUID

import segno
import typer
from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from infra.cli.asking import asked
from infra.cli.audit import operator
from infra.cli.database import in_transaction
from infra.cli.failures import exit_with, read_settings
from infra.cli.output import AsJson, show
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
GivenEmail = Annotated[str | None, typer.Option("--email", help="Asked for where it is not given.")]


class SystemUserSettings(DatabaseSettings, PasswordSettings):
    """The database, and how passwords and PINs are hashed."""


class NewSystemUser(Body):
    """The same rules as at sign-up; see also `require_strong`."""

    email: Email
    password: Password
    pin: Pin


@app.command("create-system")
def create_system(
    email: GivenEmail = None,
    password: Annotated[str | None, typer.Option()] = None,
    pin: Annotated[str | None, typer.Option()] = None,
    as_json: AsJson = False,
) -> None:
    """Create the platform's own user, who may give initial funds. Missing values are asked for."""
    given = {
        "email": asked(email, "Email"),
        "password": asked(password, "Password", is_secret=True),
        "pin": asked(pin, "PIN", is_secret=True),
    }
    load_local_environment()
    settings = read_settings(SystemUserSettings)
    try:
        new = NewSystemUser.model_validate(given)
    except ValidationError as error:
        for problem in error.errors(include_input=False, include_url=False):
            typer.echo(f"{problem['loc'][0]}: {problem['msg']}", err=True)
        raise typer.Exit(2) from None
    try:
        wallet_id, enrolment = asyncio.run(_create(settings, new))
    except WeakSecret as error:
        for each in error.errors:
            typer.echo(f"{each.field}: {each.message}", err=True)
        raise typer.Exit(2) from None
    except EmailTaken as error:
        raise exit_with(error.title) from None
    told = f"{new.email} may give initial funds. Wallet id: {wallet_id}"
    answer = {"email": new.email, "wallet_id": wallet_id} | _enrolled(enrolment)
    show(answer, [told, *_enrolment_lines(enrolment)], as_json=as_json)


@app.command("enrol-second-factor")
def enrol_second_factor(email: GivenEmail = None, as_json: AsJson = False) -> None:
    """Enrol a new authenticator of the platform's own user, in place of an earlier one. It ends every session.

    The recovery codes are new too.
    """
    address = asked(email, "Email")

    async def enrol(session: AsyncSession, owner: Owner, settings: SystemUserSettings) -> Enrolment:
        owner.tokens_valid_after, owner.kept_token_id = clock.now(), None
        _add_command(session, "users enrol-second-factor", owner.id)
        return await second_factor.enrol(session, owner_id=owner.id, email=owner.email, settings=settings)

    enrolment = _with_platform_user(address, enrol)
    show({"email": address} | _enrolled(enrolment), _enrolment_lines(enrolment), as_json=as_json)


@app.command("recovery-codes")
def recovery_codes_of(
    email: GivenEmail = None,
    renew: Annotated[bool, typer.Option(help="Make new ones, in place of all that are left.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say how many recovery codes the platform's own user has left. Each signs in once, without the authenticator."""
    address = asked(email, "Email")

    async def make(session: AsyncSession, owner: Owner, settings: SystemUserSettings) -> list[str]:
        _add_command(session, "users recovery-codes --renew", owner.id)
        return await recovery_codes.renew(session, owner_id=owner.id, settings=settings)

    async def count(session: AsyncSession, owner: Owner, _: SystemUserSettings) -> int:
        return await recovery_codes.count_left(session, owner.id)

    if renew:
        codes = _with_platform_user(address, make)
        answer = {"email": address, "left": len(codes), "recovery_codes": codes}
        show(answer, _recovery_code_lines(codes), as_json=as_json)
    else:
        left = _with_platform_user(address, count)
        show({"email": address, "left": left}, [f"{left} recovery codes are left."], as_json=as_json)


def _enrolled(enrolment: Enrolment) -> dict[str, Any]:
    return {"authenticator": enrolment.address, "recovery_codes": enrolment.recovery_codes}


def _enrolment_lines(enrolment: Enrolment) -> Iterator[str]:
    """What enrols an authenticator, a code to scan and the same as text, and the recovery codes."""
    drawn = io.StringIO()
    segno.make(enrolment.address).terminal(out=drawn, border=2, compact=True)
    yield f"Scan this with an authenticator. It is shown once: who has it has the second factor.\n{drawn.getvalue()}"
    yield enrolment.address
    yield from _recovery_code_lines(enrolment.recovery_codes)


def _recovery_code_lines(codes: Sequence[str]) -> Iterator[str]:
    yield "\nKeep these recovery codes apart from the password. They are shown once, and no earlier ones work any"
    yield "more. Each signs in once, in place of the code of a lost authenticator:"
    for code in codes:
        yield f"  {code}"


def _with_platform_user(email: str, work: Callable[[AsyncSession, Owner, SystemUserSettings], Awaitable[T]]) -> T:
    """Do this to the platform's own user in one transaction. Ends the command if the email is not theirs."""
    load_local_environment()
    settings = read_settings(SystemUserSettings)

    async def with_owner(session: AsyncSession) -> T:
        found = select(Owner).where(Owner.kind == "user", Owner.email == email.strip().lower(), Owner.is_system)
        owner = await session.scalar(found.with_for_update())
        if owner is None:
            raise exit_with(f"{email} is not the platform's own user.")
        return await work(session, owner, settings)

    return in_transaction(with_owner, name="batua users")


def _add_command(session: AsyncSession, what: str, owner_id: UUID) -> None:
    add_command(session, what=what, operator=operator(), facts={"owner_id": str(owner_id)})


async def _create(settings: SystemUserSettings, new: NewSystemUser) -> tuple[str, Enrolment]:
    """The wallet id, and what enrols an authenticator."""
    password, pin = new.password.get_secret_value(), new.pin.get_secret_value()
    require_strong(email=new.email, names=(FIRST_NAME, LAST_NAME), password=password, pin=pin)
    hasher = Hasher(settings)
    engine = create_engine(settings, application_name="batua users")
    try:
        credentials = await hash_credentials(hasher, email=new.email, password=password, pin=pin)
        async with create_sessionmaker(engine).begin() as session:
            wallet = await register_person(
                session, credentials=credentials, first_name=FIRST_NAME, last_name=LAST_NAME, is_system=True
            )
            assert wallet.owner_id is not None
            enrolment = await second_factor.enrol(session, owner_id=wallet.owner_id, email=new.email, settings=settings)
            _add_command(session, "users create-system", wallet.owner_id)
    finally:
        hasher.close()
        await engine.dispose()
    return wallet.handle or "", enrolment
