"""The `batua` command: a registry, each command in a file of its own."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Annotated

import typer

from infra.cli.failures import Commands
from shared.version import VERSION

app = typer.Typer(
    name="batua",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)

# Each module carries either a function of its own name or a group of commands, `app`.
_COMMANDS = ("up", "ps", "logs", "migrate", "demo", "prove", "reconcile", "seed")
_GROUPS = ("users", "withdrawals")
# These run the embedded stack, which a container neither has nor needs.
_LOCAL_COMMANDS = ("up", "ps", "logs", "demo")


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(VERSION)
        raise typer.Exit


@app.callback()
def batua(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Batua on the command line."""


def _is_present(name: str) -> bool:
    if name in _LOCAL_COMMANDS and importlib.util.find_spec("supervisor") is None:
        return False
    return importlib.util.find_spec(f"infra.cli.{name}") is not None


for _name in _COMMANDS:
    if _is_present(_name):
        app.command(_name)(getattr(importlib.import_module(f"infra.cli.{_name}"), _name))
for _name in _GROUPS:
    if _is_present(_name):
        app.add_typer(importlib.import_module(f"infra.cli.{_name}").app, name=_name)

if __name__ == "__main__":
    app()
