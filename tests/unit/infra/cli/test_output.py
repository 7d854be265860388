"""How answers look: every fact on a line, amounts in rupees, bars on a terminal alone."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import typer
from rich.console import Console

from infra.cli.main import app
from infra.cli.output import as_lines, bars


def test_what_was_found_is_one_fact_per_line_and_what_is_empty_is_left_out() -> None:
    found = {
        "type": "owner",
        "wallet_id": "asha@batua",
        "frozen_at": None,
        "accounts": [{"id": 1, "balance": 5_00, "is_late": False, "note": None, "from": {"name": "Ravi", "id": None}}],
        "notice": {"amount": 10_00, "at": datetime(2026, 11, 20, 12, tzinfo=UTC)},
        "operators": [],
    }
    assert [line.split() for line in as_lines(found)] == [
        ["type:", "owner"],
        ["wallet", "id:", "asha@batua"],
        ["accounts:"],
        ["id", "1,", "balance", "₹5.00,", "from", "Ravi"],
        ["notice:"],
        ["amount:", "₹10.00"],
        ["at:", "2026-11-20", "12:00:00", "UTC"],
    ]


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_bar_is_shown_on_a_terminal_alone(is_terminal: bool) -> None:
    written = io.StringIO()
    with bars(Console(file=written, force_terminal=is_terminal)) as progress:
        progress.update(progress.add_task("Account numbers", total=2), completed=1)
        progress.refresh()
    assert ("Account numbers" in written.getvalue()) is is_terminal


def test_every_command_that_answers_something_answers_programs() -> None:
    """docs/console.md names those that do not, and why."""

    def without(command: Any, name: str) -> Iterator[str]:
        for each, part in getattr(command, "commands", {}).items():
            yield from without(part, f"{name} {each}".strip())
        if not hasattr(command, "commands") and not any("--json" in parameter.opts for parameter in command.params):
            yield name

    assert set(without(typer.main.get_command(app), "")) == {"logs", "up"}
