"""`batua logs`: what the processes of the local stack have written."""

from __future__ import annotations

import time
from contextlib import closing, suppress
from typing import Annotated

import typer

from infra.cli.failures import exit_with
from infra.local.layout import PROCESSES, Layout
from infra.local.logs import LogReader

POLL_SECONDS = 0.2
_NAMES = (*PROCESSES, "supervisord")


def logs(
    processes: Annotated[
        list[str] | None, typer.Argument(metavar="PROCESS", help=f"Of these only: {', '.join(_NAMES)}.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    last: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many lines of each log.")] = 20,
) -> None:
    """Print the last lines of the logs of the stack in BATUA_HOME, whether it runs or not."""
    names = processes or list(_NAMES)
    unknown = [name for name in names if name not in _NAMES]
    if unknown:
        raise typer.BadParameter(f"there is no process {', '.join(unknown)}; there are {', '.join(_NAMES)}")
    layout = Layout.from_environment()
    if not layout.logs.is_dir():
        raise exit_with(f"No stack has been started in {layout.home}: start one with `make up`.")
    with closing(LogReader([(name, layout.log_file(name)) for name in names], last)) as reader:
        for line in reader.lines():
            typer.echo(line)
        with suppress(KeyboardInterrupt):
            while follow:
                time.sleep(POLL_SECONDS)
                for line in reader.lines():
                    typer.echo(line)
