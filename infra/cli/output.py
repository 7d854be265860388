"""What a command answers: words for a person, or one JSON object for a program."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column

from shared.clock import rfc3339
from shared.money import Money

AMOUNTS = ("amount", "balance", "held", "balance_after", "reversed")
INDENT = "  "
LABEL_WIDTH = 20

AsJson = Annotated[bool, typer.Option("--json", help="Answer one JSON object, for programs. Amounts are paise.")]
"""The option of every command that answers something."""


def show(answer: Mapping[str, Any], lines: Iterable[str], *, as_json: bool) -> None:
    """Print the answer: as JSON, or else the lines, each of them whole however wide the terminal is."""
    if as_json:
        typer.echo(json.dumps(answer, default=_as_text, ensure_ascii=False))
        return
    for line in lines:
        typer.echo(line)


def reference_column() -> Column:
    """Of a table: a reference has to be copied, so a narrow terminal folds it at worst, and cuts nothing off."""
    return Column("reference", overflow="fold", min_width=36)


def bars(console: Console, *, description_width: int = 0) -> Progress:
    """Bars for long work, on a terminal; elsewhere nothing."""
    description = TextColumn(f"{{task.description:<{max(1, description_width)}}}")
    columns = (description, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def moment(at: datetime | None) -> str:
    """A time as a person reads it: UTC, to the second."""
    return "" if at is None else f"{at:%Y-%m-%d %H:%M:%S} UTC"


def as_lines(found: Mapping[str, Any], indent: str = "") -> list[str]:
    """What was found, one fact per line; what belongs together is indented. What is empty is left out."""
    lines = []
    for name, value in found.items():
        label = f"{indent}{name.replace('_', ' ')}:"
        if isinstance(value, Mapping):
            lines += [label, *as_lines(value, indent + INDENT)] if value else []
        elif isinstance(value, list):
            lines += [label] if value else []
            for each in value:
                lines += _listed(each, indent + INDENT)
        elif value is not None:
            lines.append(f"{label:<{len(indent) + LABEL_WIDTH}} {_in_words(name, value)}")
    return lines


def _listed(value: object, indent: str) -> list[str]:
    """One of several, on one line as far as it has no parts of its own."""
    if not isinstance(value, Mapping):
        return [f"{indent}{value}"]
    said = []
    for name, part in value.items():
        if isinstance(part, Mapping):
            said.append(f"{name} {_first_words(part)}")
        elif part not in (None, False) and part != [] and name != "type":
            said.append(f"{name.replace('_', ' ')} {_in_words(name, part)}")
    return [indent + ", ".join(said)]


def _first_words(part: Mapping[str, Any]) -> str:
    return " ".join(str(value) for value in part.values() if value is not None)


def _in_words(name: str, value: object) -> str:
    if isinstance(value, datetime):
        return moment(value)
    if name in AMOUNTS and isinstance(value, int):
        return str(Money(value))
    return str(value)


def _as_text(value: object) -> str:
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")
