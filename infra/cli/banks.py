"""The option `--bank` of commands."""

from __future__ import annotations

import typer

from shared.banks.table import BANKS


def require_known(bank: str) -> None:
    """Raises typer.BadParameter."""
    if bank not in BANKS:
        raise typer.BadParameter(f"--bank is {' or '.join(BANKS)}")
