"""`make screenshots`: pictures of the main pages of a seeded stack, for the README."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import typer
from playwright.sync_api import sync_playwright

from infra.demo.actors import SimulatedBank
from infra.local.errors import StackError
from infra.local.layout import CHECKOUT, Layout
from infra.local.secrets import read_secrets
from infra.local.stack import Stack
from infra.screenshots.chromium import NAMES, find_chromium, launch
from infra.screenshots.tour import Tour

PICTURES = CHECKOUT / "docs" / "img"
SEED_SECONDS = 300
_QUICK = {
    "BATUA_WITHDRAWALS__BANK_TIMEOUT_SECONDS": "1",
    "BATUA_WITHDRAWALS__LEASE_SECONDS": "5",
    "BATUA_WITHDRAWALS__RETRY_CAP_SECONDS": "2",
    "BATUA_WITHDRAWALS__SWEEP_SECONDS": "1",
}


def take() -> None:
    """Start a stack with a temporary home on the usual ports, seed it, and write every picture to docs/img."""
    executable = find_chromium()
    if executable is None:
        typer.echo(f"The pictures need one of {', '.join(NAMES)}, and none is on the path.", err=True)
        raise typer.Exit(1)
    with tempfile.TemporaryDirectory(prefix="batua-screenshots-") as home:
        try:
            with Stack(Path(home), Layout.from_environment().port_base, _QUICK) as stack:
                _seed(stack)
                _visit(stack, executable)
        except StackError as error:
            typer.echo(f"Batua cannot start: {error}", err=True)
            raise typer.Exit(1) from None


def _seed(stack: Stack) -> None:
    command = [sys.executable, "-m", "infra.cli.main", "seed"]
    subprocess.run(  # noqa: S603 - our own command
        command, cwd=CHECKOUT, env=stack.environment(), timeout=SEED_SECONDS, check=True
    )


def _visit(stack: Stack, executable: str) -> None:
    api_key = read_secrets(stack.layout.secrets_file)["BATUA_BANK_HDFC_API_KEY"]
    bank = SimulatedBank(f"{stack.url('dummy_bank')}/hdfc", api_key)
    try:
        with sync_playwright() as playwright:
            browser = launch(playwright, executable)
            for picture in Tour(browser, stack.layout, bank, PICTURES).take():
                typer.echo(f"{picture.relative_to(CHECKOUT)}  {picture.stat().st_size / 1024:.0f} KiB")
            browser.close()
    finally:
        bank.close()


if __name__ == "__main__":
    typer.run(take)
