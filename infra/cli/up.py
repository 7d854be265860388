"""`batua up`: the whole of Batua in the foreground."""

from __future__ import annotations

import signal
import time
from contextlib import ExitStack
from types import FrameType

import typer

from infra.local.layout import PROCESSES, BadPortBase, Layout
from infra.local.logs import LogFollower
from infra.local.ports import PortInUse
from infra.local.postgres import DatabaseNotCreated
from infra.local.privileges import NoWayToRunPostgres
from infra.local.readiness import NotReady
from infra.local.stack import AlreadyRunning, MigrationFailed, Stack

_CHECK_SECONDS = 0.5
EXPECTED_ERRORS = (
    AlreadyRunning,
    BadPortBase,
    DatabaseNotCreated,
    MigrationFailed,
    NotReady,
    NoWayToRunPostgres,
    PortInUse,
)
_SHOWN = (
    ("Wallets", "user_app", ""),
    ("Shops", "merchant_app", ""),
    ("Bank notices", "bank_webhook", "/webhooks/{bank}"),
    ("Bank (simulated)", "dummy_bank", ""),
)


class _StopRequested(BaseException):
    """SIGINT or SIGTERM: not an error, and nothing on the way may swallow it."""


def _request_stop(number: int, frame: FrameType | None) -> None:
    # Once is enough: from here on everything is being stopped, and that takes its bounded time.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _StopRequested


def _announcement(layout: Layout, seconds: float) -> str:
    lines = [f"Batua is up after {seconds:.1f} s. Ctrl-C stops it."]
    lines += [f"  {title:<17} {layout.browser_url(process)}{path}" for title, process, path in _SHOWN]
    lines += [f"  {'Mail':<17} {layout.mail}", f"  {'Logs, pids, data':<17} {layout.home}"]
    width = max(len(line) for line in lines)
    rule = "=" * width
    return "\n".join(["", rule, *lines, rule, ""])


def _run(stack: Stack) -> None:
    began = time.monotonic()
    stack.start()
    typer.echo(_announcement(stack.layout, time.monotonic() - began))
    while stack.is_supervised():
        time.sleep(_CHECK_SECONDS)
    typer.echo("The supervisor has died; stopping what it left.", err=True)


def up() -> None:
    """Start PostgreSQL, Redis, a mailbox, the migrations and every service; stop them all on Ctrl-C."""
    signal.signal(signal.SIGINT, _request_stop)
    signal.signal(signal.SIGTERM, _request_stop)
    try:
        stack = Stack.from_environment()
        logs = [(name, stack.layout.log_file(name)) for name in PROCESSES]
        with ExitStack() as cleanup:
            cleanup.enter_context(LogFollower(logs, typer.echo))
            cleanup.callback(stack.stop)
            _run(stack)
    except _StopRequested:
        typer.echo("Batua has stopped.")
        return
    except EXPECTED_ERRORS as error:
        typer.echo(f"Batua cannot start: {error}", err=True)
    raise typer.Exit(1)
