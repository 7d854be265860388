"""The `batua` command: a registry, each command in a file of its own."""

from __future__ import annotations

import gc
import importlib
import importlib.util
from collections.abc import Iterator, MutableMapping
from typing import Annotated, Any

import typer
from typer.main import get_command, get_group

from infra.cli.failures import Commands
from shared.version import VERSION

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
_GROUPS = (
    "archive",
    "withdrawals",
    "webhooks",
    "suspense",
    "proposals",
    "operators",
    "keys",
    "users",
    "backup",
    "recovery",
)
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


def _is_present(name: str) -> bool:
    needed = (f"infra.cli.{name}", _NEEDS.get(name))
    return all(importlib.util.find_spec(module) is not None for module in needed if module)


class _Registry(MutableMapping[str, Any]):
    """The commands by their names as people type them. One is loaded when it is asked for, and its module with it.

    To load all of them takes seconds, and most runs of `batua` need one.
    """

    def __init__(self) -> None:
        self._modules = {name.replace("_", "-"): name for name in (*_COMMANDS, *_GROUPS) if _is_present(name)}
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            self._loaded[name] = _load(self._modules[name], name)
        return self._loaded[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._loaded[name] = command
        self._modules.setdefault(name, name)

    def __delitem__(self, name: str) -> None:
        self._loaded.pop(name, None)
        del self._modules[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)


def _load(module_name: str, name: str) -> Any:
    gc.disable()  # what is imported stays: to look for garbage in it takes a sixth of the start's CPU
    try:
        module = importlib.import_module(f"infra.cli.{module_name}")
    finally:
        gc.enable()
    if module_name in _GROUPS:
        group = get_group(module.app)
        group.name = name
        return group
    single = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)
    single.command(name)(getattr(module, module_name))
    return get_command(single)


class _Batua(Commands):
    """The root of the command line."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = _Registry()

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the context of Typer
        """The names alone, for which nothing is loaded."""
        return list(self.commands)


app = typer.Typer(
    name="batua",
    cls=_Batua,
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)


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


if __name__ == "__main__":
    app()
