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
_COMMANDS = (
    "up",
    "ps",
    "logs",
    "migrate",
    "demo",
    "prove",
    "reconcile",
    "status",
    "find",
    "freeze",
    "unfreeze",
    "seed",
    "encrypt_account_numbers",
    "audit",
)
_GROUPS = ("withdrawals", "webhooks", "proposals", "operators", "keys", "users", "backup", "recovery")
# What a command needs beyond its own module. The container image has no server to start, no sample people, and none of
# Postgres's own programs.
_NEEDS = {
    "up": "supervisor",
    "ps": "supervisor",
    "logs": "supervisor",
    "demo": "supervisor",
    "seed": "infra.seed",
    "backup": "infra.backup",
}


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
    needed = (f"infra.cli.{name}", _NEEDS.get(name))
    return all(importlib.util.find_spec(module) is not None for module in needed if module)


for _name in _COMMANDS:
    if _is_present(_name):
        app.command(_name.replace("_", "-"))(getattr(importlib.import_module(f"infra.cli.{_name}"), _name))
for _name in _GROUPS:
    if _is_present(_name):
        app.add_typer(importlib.import_module(f"infra.cli.{_name}").app, name=_name)

if __name__ == "__main__":
    app()
