"""docs/timeouts-and-retries.md says what the code says, and leaves nothing out."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from infra.documentation.settings import groups
from infra.local.layout import CHECKOUT

PAGE = CHECKOUT / "docs" / "timeouts-and-retries.md"
MUST_BE_LISTED = re.compile(
    r"(^_?MAX_|TIMEOUT|_SECONDS$|_MILLISECONDS$|_BYTES$|BATCH$|_AT_ONCE$|_TRIES$|_PER_RUN$|_AFTER$|KEPT|^GRACE$|LOOKBACK)"
)
NOT_A_BOUND = {
    "shared/http/pagination.py: _MAX_BIGINT",
    "shared/db/engine.py: _MILLISECONDS",
    "shared/live/feed.py: _MAX_NUMBER",
}
"""Facts of Postgres and of arithmetic."""

_UNITS = {
    "": 1,
    "s": 1,
    "min": 60,
    "h": 3600,
    "day": 86400,
    "days": 86400,
    "KiB": 1024,
    "MiB": 1024**2,
}
_ROW = re.compile(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \|", re.MULTILINE)
_LINK = re.compile(r"\]\(\.\./([^)]+)\)")
_SECONDS = re.compile(r"[0-9]+s")
_NUMBER = re.compile(r"([0-9][0-9,.]*) ?([A-Za-z]*)")


class Row(NamedTuple):
    """A line of a table: the constant or variable, what the page says it is, and the file; None for a setting."""

    name: str
    value: str
    file: str | None


def _rows() -> list[Row]:
    found = _ROW.findall(PAGE.read_text(encoding="utf-8"))
    return [
        Row(name, value.strip(), file[1] if (file := _LINK.search(where)) else None) for name, value, where in found
    ]


def _shown(value: str) -> float | str:
    """The number that a cell shows, durations in seconds and sizes in bytes; other text as it is."""
    number = _NUMBER.fullmatch(value)
    if number is None or number[2] not in _UNITS:
        return value
    return float(number[1].replace(",", "")) * _UNITS[number[2]]


def _constants(file: Path) -> Iterator[tuple[str, float]]:
    """Every number, duration or size that a module gives a name in capitals."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id.isupper():
            value = _value(node.value)
            if value is not None:
                yield node.targets[0].id, value


def _value(node: ast.expr) -> float | None:
    """The number that an expression of literals and `timedelta` stands for; None for anything else."""
    try:
        value = eval(ast.unparse(node), {"__builtins__": {}, "timedelta": timedelta})
    except (NameError, TypeError, AttributeError):
        return None
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, str) and _SECONDS.fullmatch(value):
        return float(value[:-1])
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _problems(rows: list[Row]) -> Iterator[str]:
    settings = {setting.variable: setting.default or "" for group in groups() for setting in group.settings}
    for row in rows:
        if row.file is None:
            if row.name not in settings:
                yield f"{row.name} is no setting"
            elif _shown(row.value) != _shown(settings[row.name]):
                yield f"{row.name} is {settings[row.name]}, the page says {row.value}"
            continue
        file = CHECKOUT / row.file
        constants = dict(_constants(file)) if file.exists() else {}
        if row.name not in constants:
            yield f"{row.file} has no {row.name}"
        elif _shown(row.value) != constants[row.name]:
            yield f"{row.name} in {row.file} is {constants[row.name]:g}, the page says {row.value}"


def test_every_row_agrees_with_the_code() -> None:
    rows = _rows()
    assert len(rows) > 100
    assert list(_problems(rows)) == []


def test_every_timeout_retry_and_bound_has_a_row() -> None:
    listed = {f"{row.file}: {row.name}" for row in _rows()}
    named = {
        f"{file.relative_to(CHECKOUT).as_posix()}: {name}"
        for folder in ("shared", "services")
        for file in (CHECKOUT / folder).rglob("*.py")
        for name, _ in _constants(file)
        if MUST_BE_LISTED.search(name)
    }
    assert sorted(named - listed - NOT_A_BOUND) == []


@pytest.mark.parametrize(
    "row",
    [
        Row("MAX_BATCH", "255", "shared/ledger/group_commit.py"),
        Row("MAX_BATCHES", "256", "shared/ledger/group_commit.py"),
        Row("MAX_BATCH", "256", "shared/ledger/gone.py"),
        Row("BATUA_DATABASE_POOL_SIZE", "11", None),
        Row("NO_SUCH_SETTING", "1", None),
    ],
)
def test_a_row_that_is_wrong_is_found(row: Row) -> None:
    assert len(list(_problems([row]))) == 1
