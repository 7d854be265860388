"""`batua demo`: tell a story on the embedded stack and check every step."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import ExitStack

import httpx
import typer
from rich.console import Console

from infra.cli.failures import exit_with
from infra.demo.actors import CheckFailed
from infra.demo.story import BANK, Addresses, Story
from infra.local.environment import load_local_environment
from infra.local.errors import StackError
from infra.local.layout import Layout
from infra.local.secrets import read_secrets
from infra.local.stack import Stack

PROVE_SECONDS = 60
_HEALTH_TIMEOUT_SECONDS = 1.0
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


def _tell(layout: Layout, console: Console) -> None:
    addresses = Addresses(
        user_app=layout.url("user_app"),
        merchant_app=layout.url("merchant_app"),
        bank_webhook=layout.url("bank_webhook"),
        bank=f"{layout.url('dummy_bank')}/{BANK.code}",
    )
    Story(addresses, read_secrets(layout.secrets_file), console).tell()


def _prove(console: Console) -> None:
    console.print("\n[bold]The books are proven, and compared with the banks' own statements[/bold]")
    command = [sys.executable, "-m", "infra.cli.main", "prove"]
    proof = subprocess.run(command, timeout=PROVE_SECONDS, check=False)  # noqa: S603 - our own command
    if proof.returncode != 0:
        raise CheckFailed("the proof agrees with the bank to the paisa")


def demo() -> None:
    """Tell the story of Alice, Bob and a tea shop. Exits 1 at the first step whose check fails."""
    console = Console(highlight=False, soft_wrap=True)
    began = time.monotonic()
    try:
        layout = Layout.from_environment()
        with ExitStack() as cleanup:
            if not _is_running(layout):
                stack = Stack.from_environment(defaults=_QUICK)
                cleanup.callback(stack.stop)
                _start(stack, console)
            load_local_environment()
            _tell(layout, console)
            _prove(console)
    except CheckFailed as failure:
        console.print(f"  [red]✗ failed:[/red] {failure}")
        raise typer.Exit(1) from None
    except StackError as failure:
        raise exit_with(f"The demo cannot start: {failure}") from None
    console.print(f"\nEverything held, in {time.monotonic() - began:.0f} s. To look around yourself:")
    console.print("make up")
