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

    `and_then` is another statement with the same parameters, which writes `rows_then` rows.
    """

    statement: str
    arguments: tuple[Any, ...]
    rows: int
    and_then: str | None = None
    rows_then: int = 0


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
    statement = _combined(tuple((part.statement, part.and_then, len(part.arguments)) for part in parts))
    (written,) = await transaction.fetch(statement, *arguments)
    expected = list(chain.from_iterable(_rows(part) for part in parts))
    if list(written) != expected:
        raise NotAllWritten(f"wrote {list(written)} rows of {expected}")


def _rows(part: Write) -> tuple[int, ...]:
    return (part.rows,) if part.and_then is None else (part.rows, part.rows_then)


@cache  # a few combinations of the constants in the code
def _combined(parts: tuple[tuple[str, str | None, int], ...]) -> str:
    """One statement that runs each part with its own parameters, and answers how many rows each part wrote."""
    named: list[str] = []
    offset = 0
    for statement, and_then, parameters in parts:
        for each in (statement, and_then):
            if each is not None:
                named.append(f"part_{len(named)} AS ({_renumbered(each, offset)} RETURNING 1)")
        offset += parameters
    counts = [f"(SELECT count(*) FROM part_{number})" for number in range(len(named))]  # noqa: S608 - a number
    return f"WITH {', '.join(named)} SELECT {', '.join(counts)}"


def _renumbered(statement: str, offset: int) -> str:
    return _PARAMETER.sub(lambda parameter: f"${int(parameter[1]) + offset}", statement)
