"""`batua demo`: tell a story on the embedded stack and check every step."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console

from infra.cli.failures import FAILED, exit_with
from infra.cli.output import AsJson, show
from infra.demo.actors import CheckFailed
from infra.demo.story import BANK, Addresses, Story
from infra.local.environment import load_local_environment
from infra.local.errors import StackError
from infra.local.layout import Layout
from infra.local.secrets import read_secrets
from infra.local.stack import Stack
from shared.secret_files import SecretsUnreadable, secret

PROVE_SECONDS = 60
PATIENCE_SECONDS = 60.0
PATIENCE_THERE_SECONDS = 900.0
"""A deployment has the timings of production: a bank that is down is asked again minutes later."""
_HEALTH_TIMEOUT_SECONDS = 1.0
_API_KEY = f"BATUA_BANK_{BANK.code.upper()}_API_KEY"
_Addresses = tuple[str, str, str, str]
# The same code with shorter waits, so that a day of trouble at the bank takes a minute.
_QUICK = {
    "BATUA_WITHDRAWALS__BANK_TIMEOUT_SECONDS": "1",
    "BATUA_WITHDRAWALS__LEASE_SECONDS": "5",
    "BATUA_WITHDRAWALS__RETRY_BASE_SECONDS": "0.5",
    "BATUA_WITHDRAWALS__RETRY_CAP_SECONDS": "3",
    "BATUA_WITHDRAWALS__NOT_FOUND_GRACE_SECONDS": "3",
    "BATUA_WITHDRAWALS__SWEEP_SECONDS": "1",
}


def _is_running(layout: Layout) -> bool:
    try:
        return httpx.get(f"{layout.url('user_app')}/healthz", timeout=_HEALTH_TIMEOUT_SECONDS).is_success
    except httpx.HTTPError:
        return False


def _start(stack: Stack, console: Console) -> None:
    began = time.monotonic()
    stack.start(report=console.print)
    console.print(f"Batua is up after {time.monotonic() - began:.1f} s.")


def _tell_here(console: Console) -> None:
    """On the embedded stack, which is started where it does not run."""
    layout = Layout.from_environment()
    with ExitStack() as cleanup:
        if not _is_running(layout):
            stack = Stack.from_environment(defaults=_QUICK)
            cleanup.callback(stack.stop)
            _start(stack, console)
        load_local_environment()
        addresses = Addresses(
            user_app=layout.url("user_app"),
            merchant_app=layout.url("merchant_app"),
            bank_webhook=layout.url("bank_webhook"),
            bank=f"{layout.url('dummy_bank')}/{BANK.code}",
        )
        api_key = read_secrets(layout.secrets_file)[_API_KEY]
        Story(addresses, api_key, console, patience_seconds=PATIENCE_SECONDS).tell()
        _prove(console)


def _tell_there(against: _Addresses, api_key: str, console: Console, patience_seconds: float) -> None:
    """On a deployment that runs, with its own timings."""
    user_app, merchant_app, bank_webhook, bank = (url.rstrip("/") for url in against)
    addresses = Addresses(user_app, merchant_app, bank_webhook, f"{bank}/{BANK.code}")
    try:
        Story(addresses, api_key, console, patience_seconds=patience_seconds).tell()
    except httpx.HTTPError as error:
        raise exit_with(f"The deployment does not answer: {error}") from None
    if os.environ.get("BATUA_DATABASE_URL"):
        _prove(console)
    else:
        console.print("\nThe books are not proven: run `batua prove` where BATUA_DATABASE_URL is set.")


def _prove(console: Console) -> None:
    console.print("\n[bold]The books are proven, and compared with the banks' own statements[/bold]")
    command = [sys.executable, "-m", "infra.cli.main", "prove"]
    output = sys.stderr if console.stderr else None  # standard output is the answer's
    try:
        proof = subprocess.run(command, timeout=PROVE_SECONDS, check=False, stdout=output)  # noqa: S603 - our own command
    except subprocess.TimeoutExpired:
        raise CheckFailed(f"the proof ends within {PROVE_SECONDS:g} s") from None
    if proof.returncode != 0:
        raise CheckFailed("the proof agrees with the bank to the paisa")


def demo(
    against: Annotated[
        _Addresses | None,
        typer.Option(
            metavar="USER_APP MERCHANT_APP BANK_WEBHOOK BANK",
            help="The addresses of a deployment that runs, instead of the embedded stack; BANK is its bank simulator.",
        ),
    ] = None,
    secrets: Annotated[
        Path | None, typer.Option(help=f"With --against: a file of KEY=value lines that has {_API_KEY}.")
    ] = None,
    authority: Annotated[
        Path | None, typer.Option(help="With --against: the certificate of those who signed the deployment's own.")
    ] = None,
    patience: Annotated[
        float, typer.Option(help="With --against: how many seconds a withdrawal may take there.")
    ] = PATIENCE_THERE_SECONDS,
    as_json: AsJson = False,
) -> None:
    """Tell the story of Alice, Bob and a tea shop. Exits 1 at the first step whose check fails."""
    console = Console(highlight=False, soft_wrap=True, stderr=as_json)
    began = time.monotonic()
    try:
        if against is None:
            _tell_here(console)
        else:
            if authority is not None:
                os.environ["SSL_CERT_FILE"] = str(authority)
            _tell_there(against, _api_key(secrets), console, patience)
    except CheckFailed as failure:
        console.print(f"  [red]✗ failed:[/red] {failure}")
        show(_answer(began, str(failure)), (), as_json=as_json)
        raise typer.Exit(FAILED) from None
    except StackError as failure:
        raise exit_with(f"The demo cannot start: {failure}") from None
    console.print(f"\nEverything held, in {time.monotonic() - began:.0f} s. To look around yourself:")
    console.print("make up" if against is None else against[0])
    show(_answer(began), (), as_json=as_json)


def _answer(began: float, failed: str | None = None) -> dict[str, Any]:
    """`failed` is the step whose outcome was wrong, in words."""
    return {"ok": failed is None, "failed": failed, "seconds": round(time.monotonic() - began, 3)}


def _api_key(file: Path | None) -> str:
    """Our key at the simulated bank, from the file, the environment or a file of secrets."""
    try:
        known = read_secrets(file).get(_API_KEY) if file else secret(_API_KEY)
    except (OSError, SecretsUnreadable) as error:
        raise exit_with(f"The secrets cannot be read: {error}") from None
    if not known:
        raise exit_with(f"{_API_KEY} is not set: the demo acts at the simulated bank too. Set it, or use --secrets.")
    return known
