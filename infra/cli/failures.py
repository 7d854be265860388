"""How a command ends when it cannot do its work: one sentence on standard error, an exit code, no traceback."""

from __future__ import annotations

import os
from typing import Any, TypeVar
from urllib.parse import urlsplit

import asyncpg
import typer
from alembic.util import CommandError
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from sqlalchemy.exc import DBAPIError
from typer.core import TyperGroup

from infra.local.errors import StackError
from infra.local.layout import Layout
from shared.config import Settings
from shared.db.outages import DATABASE_ERRORS

FAILED = 1
NOT_KNOWN = 2
"""`batua prove` and `batua reconcile` could not compare: a bank or the database is away, or a file cannot be read."""
_NOT_KNOWN_COMMANDS = ("prove", "reconcile")
_DATABASE = "BATUA_DATABASE_URL"

S = TypeVar("S", bound=Settings)


class SettingsWrong(Exception):
    """A command lacks settings, or cannot read them; `names` are environment variables."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(", ".join(names))
        self.names = names

    def __str__(self) -> str:
        if _DATABASE in self.names:
            home = Layout.from_environment().home
            return f"No stack has been started in {home}: start one with `make up`, or set {_DATABASE}."
        return f"Settings missing or wrong: {', '.join(self.names)}."


def exit_with(sentence: str, exit_code: int = FAILED) -> typer.Exit:
    """Print the sentence; raise what is returned."""
    typer.echo(sentence, err=True)
    return typer.Exit(exit_code)


def read_settings(kind: type[S], **values: Any) -> S:
    """These settings, from `BATUA_*` in the environment and `values`. Raises SettingsWrong."""
    try:
        return kind(**values)
    except ValidationError as error:
        problems = error.errors(include_input=False, include_url=False)
        raise SettingsWrong([_name(problem) for problem in problems]) from None


def is_any_bank_configured() -> bool:
    """Whether the environment names the address of a bank: a command may then ask the banks."""
    return any(name.startswith("BATUA_BANK_") and name.endswith("_URL") for name in os.environ)


def _name(problem: ErrorDetails) -> str:
    """The variable; a rule about several settings has no place of its own, but its message names them."""
    place = "__".join(map(str, problem["loc"]))
    return f"BATUA_{place.upper()}" if place else problem["msg"]


def database_sentence(error: BaseException) -> str:
    """What went wrong with the database, and what a person can do about it."""
    where = _address()
    if isinstance(error, OSError):
        return f"The database{where} cannot be reached; is `make up` running?"
    raised = getattr(error.orig, "orig", error.orig) if isinstance(error, DBAPIError) else error
    if isinstance(raised, asyncpg.UndefinedTableError | asyncpg.UndefinedColumnError):
        return f"The database{where} does not have this version's schema: run `batua migrate`."
    first_line = str(raised).partition("\n")[0]
    return f"The database{where} does not answer as it should; is `make up` running? {first_line}"


def _address() -> str:
    place = urlsplit(os.environ.get(_DATABASE, "")).netloc.rpartition("@")[2]
    return f" at {place}" if place else ""


class Commands(TyperGroup):
    """The root of the command line: ends a command that met a known failure with one sentence."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that the arguments name."""
        exit_code = FAILED
        try:
            return super().invoke(ctx)
        except (SettingsWrong, StackError) as error:
            sentence = str(error)
        except CommandError as error:
            sentence = f"The database cannot be migrated: {error}"
        except DATABASE_ERRORS as error:
            if isinstance(error, OSError) and error.filename is not None:
                raise
            sentence = database_sentence(error)
        if ctx.invoked_subcommand in _NOT_KNOWN_COMMANDS:
            exit_code = NOT_KNOWN
        raise exit_with(sentence, exit_code)
