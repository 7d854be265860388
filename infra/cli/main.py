"""The `batua` command: a registry, each command in a file of its own."""

from __future__ import annotations

import importlib
import importlib.util

import typer

from infra.cli.failures import Commands

app = typer.Typer(
    name="batua",
    cls=Commands,
    help="Batua on the command line.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)

# Each module carries either a function of its own name or a group of commands, `app`.
_COMMANDS = ("up", "ps", "logs", "migrate", "demo", "prove", "reconcile", "seed")
_GROUPS = ("users", "withdrawals")
# These run the embedded stack, which a container neither has nor needs.
_LOCAL_COMMANDS = ("up", "ps", "logs", "demo")


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
