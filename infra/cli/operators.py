"""`batua operators`: who may act by hand. Each operator signs in to the database with a role of their own."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import quote, urlsplit, urlunsplit

import typer
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from infra.cli.asking import asked
from infra.cli.audit import operator, record_command
from infra.cli.database import in_transaction
from infra.cli.failures import exit_with, read_settings
from infra.cli.output import AsJson, show
from infra.local.environment import load_administrator_environment, load_local_environment
from infra.postgres import operators as roles
from shared.audit.writing import add_command
from shared.config import DatabaseSettings
from shared.ids import new_token

app = typer.Typer(name="operators", help="Who may act by hand.", no_args_is_help=True)

NAME = "batua operators"
_NAMES = re.compile(r"[a-z][a-z0-9_]{1,30}")
MIN_PASSWORD_LENGTH = 16

OperatorName = Annotated[str, typer.Argument(metavar="NAME", help="One person's own: small letters, digits, `_`.")]


@app.command("add")
def add(name: OperatorName, as_json: AsJson = False) -> None:
    """Let one more person act as an operator; needs a superuser's BATUA_DATABASE_URL.

    It prints the address to sign in with, which holds a first password: `batua operators change-password` replaces it.
    """
    if not _NAMES.fullmatch(name):
        raise typer.BadParameter("a name has small letters, digits and `_`, and begins with a letter")
    load_administrator_environment()
    url = read_settings(DatabaseSettings).database_url.get_secret_value()
    password = new_token(24)
    try:
        roles.add_operator(url, name=name, password=password)
    except roles.RoleTaken:
        raise exit_with(f"{name} is taken: every operator has a name of their own.") from None
    record_command("operators add", operator=name)
    address = _address_of(url, name, password)
    typer.echo(f"{name} is an operator. The address is shown once: who has it acts as {name}.", err=True)
    show({"operator": name, "database_url": address}, [address], as_json=as_json)


@app.command("remove")
def remove(name: OperatorName, as_json: AsJson = False) -> None:
    """Let a person act no longer, and end what they have open; needs a superuser's BATUA_DATABASE_URL."""
    load_administrator_environment()
    url = read_settings(DatabaseSettings).database_url.get_secret_value()
    if not roles.remove_operator(url, name=name):
        raise exit_with(f"{name} is not an operator.")
    record_command("operators remove", operator=name)
    show({"operator": name}, [f"{name} is no longer an operator."], as_json=as_json)


@app.command("list")
def list_operators(as_json: AsJson = False) -> None:
    """List the operators, and whether each can sign in."""
    found = in_transaction(_list, name=NAME)
    lines = [name if can_sign_in else f"{name}  (cannot sign in)" for name, can_sign_in in found]
    answer = {"operators": [{"name": name, "can_sign_in": can_sign_in} for name, can_sign_in in found]}
    show(answer, lines or ["There is no operator: `batua operators add` makes one."], as_json=as_json)


@app.command("change-password")
def change_password(
    password: Annotated[str | None, typer.Option(help="Asked for where it is not given.")] = None,
    as_json: AsJson = False,
) -> None:
    """Give yourself another password, which only you know."""
    new = asked(password, "Password", is_secret=True)
    if len(new) < MIN_PASSWORD_LENGTH:
        raise typer.BadParameter(f"at least {MIN_PASSWORD_LENGTH} characters")
    load_local_environment()
    name = in_transaction(lambda session: _change_password(session, new), name=NAME)
    show({"operator": name}, [f"{name} has a new password: put it into BATUA_DATABASE_URL."], as_json=as_json)


async def _list(session: AsyncSession) -> list[tuple[str, bool]]:
    statement = text("""
        SELECT member.rolname::text, member.rolcanlogin FROM pg_auth_members AS membership
        JOIN pg_roles AS member ON member.oid = membership.member
        JOIN pg_roles AS operators ON operators.oid = membership.roleid AND operators.rolname = 'batua_operator'
        ORDER BY 1
    """)
    return [(name, can_sign_in) for name, can_sign_in in await session.execute(statement)]


async def _change_password(session: AsyncSession, password: str) -> str:
    name, is_operator = (await session.execute(text("SELECT session_user::text, is_operator()"))).one()
    if not is_operator:
        raise exit_with(f"{name} is not an operator.")
    connection = await session.connection()
    statement = "SELECT format('ALTER ROLE %I PASSWORD %L', $1::text, $2::text)"
    quoted = (await connection.exec_driver_sql(statement, (name, password))).scalar_one()
    await connection.exec_driver_sql(quoted)
    add_command(session, what="operators change-password", operator=operator(), facts={})
    return str(name)


def _address_of(url: str, name: str, password: str) -> str:
    """The address of the same database, as this operator."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(name)}:{quote(password, safe='')}@{place}"))
