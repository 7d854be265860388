"""How a command ends when it cannot do its work: one sentence on standard error, an exit code, no traceback.

Every command loads this module, so it loads the libraries of the database and of settings only where it needs them:
`batua ps` and `batua logs` need neither, and would begin a second later.
"""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import typer
from typer.core import TyperGroup

from infra.local.errors import StackError
from infra.local.layout import Layout

if TYPE_CHECKING:
    from shared.config import Settings

FAILED = 1
NOT_KNOWN = 2
"""`batua prove` and others could not compare: a bank or the database is away, or a file cannot be read."""
_NOT_KNOWN_COMMANDS = ("prove", "reconcile", "recovery", "status")
_DATABASE = "BATUA_DATABASE_URL"

S = TypeVar("S", bound="Settings")


class SettingsWrong(Exception):
    """A command lacks settings, cannot read them, or may not use them; `problems` name the environment variables."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems

    def __str__(self) -> str:
        is_missing = f"{_DATABASE}: Field required" in self.problems
        if is_missing:
            home = Layout.from_environment().home
            return f"No stack has been started in {home}: start one with `make up`, or set {_DATABASE}."
        return f"Settings missing or wrong: {super().__str__()}."


def exit_with(sentence: str, exit_code: int = FAILED) -> typer.Exit:
    """Print the sentence; raise what is returned."""
    typer.echo(sentence, err=True)
    return typer.Exit(exit_code)


def read_settings(kind: type[S], **values: Any) -> S:
    """These settings, from `BATUA_*` in the environment and `values`. Raises SettingsWrong."""
    from pydantic import ValidationError  # noqa: PLC0415

    from shared.config import settings_problems  # noqa: PLC0415
    from shared.secret_files import SecretsUnreadable  # noqa: PLC0415

    try:
        return kind(**values)
    except ValidationError as error:
        raise SettingsWrong(settings_problems(error)) from None
    except SecretsUnreadable as error:
        raise SettingsWrong([str(error)]) from None


def is_any_bank_configured() -> bool:
    """Whether the environment names the address of a bank: a command may then ask the banks."""
    return any(name.startswith("BATUA_BANK_") and name.endswith("_URL") for name in os.environ)


def database_sentence(error: BaseException) -> str:
    """What went wrong with the database, and what a person can do about it."""
    import asyncpg  # noqa: PLC0415
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415

    where = _address()
    if isinstance(error, ssl.SSLError):
        return (
            f"The database{where} shows no certificate that `sslmode` in {_DATABASE} accepts: {error.strerror or error}"
        )
    if isinstance(error, OSError):
        return f"The database{where} cannot be reached; is `make up` running?"
    raised = getattr(error.orig, "orig", error.orig) if isinstance(error, DBAPIError) else error
    if isinstance(raised, asyncpg.UndefinedTableError | asyncpg.UndefinedColumnError):
        return f"The database{where} does not have this version's schema: run `batua migrate`."
    if isinstance(raised, asyncpg.LockNotAvailableError):
        return f"A lock in the database{where} was not free in time, and nothing was changed: run the command again."
    first_line = str(raised).partition("\n")[0]
    return f"The database{where} does not answer as it should; is `make up` running? {first_line}"


def _address() -> str:
    place = urlsplit(os.environ.get(_DATABASE, "")).netloc.rpartition("@")[2]
    return f" at {place}" if place else ""


class Commands(TyperGroup):
    """The root of the command line: ends a command that met a known failure with one sentence."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that the arguments name."""
        try:
            return super().invoke(ctx)
        except typer.Exit:
            raise
        except Exception as error:
            sentence = _sentence(error)
            if sentence is None:
                raise
        raise exit_with(sentence, NOT_KNOWN if ctx.invoked_subcommand in _NOT_KNOWN_COMMANDS else FAILED)


def _sentence(error: Exception) -> str | None:
    """About a known failure; None: it is none."""
    from alembic.util import CommandError  # noqa: PLC0415

    from shared.db.outages import DATABASE_ERRORS  # noqa: PLC0415

    if isinstance(error, SettingsWrong | StackError):
        return str(error)
    if isinstance(error, CommandError):
        return f"The database cannot be migrated: {error}"
    is_about_a_file = isinstance(error, OSError) and error.filename is not None
    return database_sentence(error) if isinstance(error, DATABASE_ERRORS) and not is_about_a_file else None
