"""`batua up`: the whole of Batua in the foreground."""

from __future__ import annotations

import signal
import time
from contextlib import ExitStack
from types import FrameType

import typer

from infra.cli.failures import exit_with
from infra.local.errors import StackError
from infra.local.layout import Layout
from infra.local.stack import Stack
from infra.seed.cast import PASSWORD, PEOPLE, PIN
from shared.banks.table import BANKS

_CHECK_SECONDS = 0.5
_BATUA = ".venv/bin/batua"


class _StopRequested(BaseException):
    """SIGINT or SIGTERM: not an error, so no `except Exception` on the way may catch it."""


def _request_stop(number: int, frame: FrameType | None) -> None:
    # A second signal is ignored: everything is being stopped already, and that takes a bounded time.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise _StopRequested


def banner(layout: Layout, seconds: float) -> str:
    """What a person needs to know once the stack is up: addresses, logins, how to stop it, where the logs are."""
    rows = (
        ("Wallets", layout.browser_url("user_app")),
        ("Shops", layout.browser_url("merchant_app")),
        ("Banks (simulated)", f"{layout.browser_url('dummy_bank')}   sign in at the bank as demo / demo"),
        ("Bank webhook", layout.browser_url("bank_webhook") + " and ".join(f"/webhooks/{code}" for code in BANKS)),
        ("Sample people", f"`make seed` in another terminal, then {PEOPLE[0].email} / {PASSWORD}, PIN {PIN}"),
        ("Logs", f"{_BATUA} logs --follow   (files in {layout.logs})"),
        ("Processes", f"{_BATUA} ps"),
        ("Mail", f"{layout.mail}"),
        ("Stop", "Ctrl-C"),
    )
    lines = [f"Batua is up after {seconds:.1f} s.", *(f"  {title:<17}  {text}" for title, text in rows)]
    rule = "=" * max(len(line) for line in lines)
    return "\n".join([rule, *lines, rule])


def _run(stack: Stack) -> None:
    began = time.monotonic()
    stack.start(report=typer.echo)
    typer.echo(banner(stack.layout, time.monotonic() - began))
    while stack.is_supervised():
        time.sleep(_CHECK_SECONDS)
    typer.echo("The supervisor has died; stopping the processes that it started.", err=True)


def up() -> None:
    """Start PostgreSQL, Redis, a local mail server, the migrations and every service; stop them all on Ctrl-C."""
    signal.signal(signal.SIGINT, _request_stop)
    signal.signal(signal.SIGTERM, _request_stop)
    try:
        stack = Stack.from_environment()
        with ExitStack() as cleanup:
            cleanup.callback(stack.stop)
            _run(stack)
    except _StopRequested:
        typer.echo("Batua has stopped.")
        return
    except StackError as error:
        raise exit_with(f"Batua cannot start: {error}") from None
    raise typer.Exit(1)
