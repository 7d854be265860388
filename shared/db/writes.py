"""Rows of several tables, written by one SQL statement: one round trip, however many tables and rows.

Foreign keys are checked when the statement ends, so rows of one statement may refer to each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Any, TypeVar

from shared.db.transaction import Transaction

Value = TypeVar("Value")

_PARAMETER = re.compile(r"\$(\d+)")


@dataclass(frozen=True, slots=True)
class Write:
    """An INSERT or UPDATE of exactly `rows` rows. Its parameters are numbered from `$1`; a column is one array.

    With `is_call` the statement selects from one function, which writes the rows and answers how many.
    """

    statement: str
    arguments: tuple[Any, ...]
    rows: int
    is_call: bool = False


def column(values: Sequence[Value]) -> tuple[Sequence[Value], Value | None]:
    """The array of a column, and the value of the rows beyond its end: a value that all rows share is sent once.

    The driver checks and encodes each value of an array by itself. `unnest` fills up a short array with nulls, so a
    statement takes `coalesce(column, value)`. At least one column beside it must be a whole array.
    """
    if values and values.count(values[0]) == len(values):
        return (), values[0]
    return values, None


class NotAllWritten(Exception):
    """Fewer rows were written than asked for: another transaction was there first. Roll back, and decide again."""


async def write_all(transaction: Transaction, writes: Iterable[Write]) -> None:
    """Write everything by one statement; nothing if there are no rows. Raises NotAllWritten."""
    parts = [write for write in writes if write.rows]
    if not parts:
        return
    arguments = chain.from_iterable(part.arguments for part in parts)
    statement = _combined(tuple((part.statement, part.is_call, len(part.arguments)) for part in parts))
    (written,) = await transaction.fetch(statement, *arguments)
    expected = [part.rows for part in parts]
    if list(written) != expected:
        raise NotAllWritten(f"wrote {list(written)} rows of {expected}")


@cache  # a few combinations of the constants in the code
def _combined(parts: tuple[tuple[str, bool, int], ...]) -> str:
    """One statement that runs each part with its own parameters, and answers how many rows each part wrote."""
    named: list[str] = []
    counts: list[str] = []
    offset = 0
    for number, (statement, is_call, parameters) in enumerate(parts):
        written = _renumbered(statement, offset)
        named.append(f"part_{number} (written) AS ({written}{'' if is_call else ' RETURNING 1'})")
        counts.append(f"(SELECT {'written' if is_call else 'count(*)'} FROM part_{number})")  # noqa: S608 - a number
        offset += parameters
    return f"WITH {', '.join(named)} SELECT {', '.join(counts)}"


def _renumbered(statement: str, offset: int) -> str:
    return _PARAMETER.sub(lambda parameter: f"${int(parameter[1]) + offset}", statement)
