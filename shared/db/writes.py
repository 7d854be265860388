"""Rows of several tables, written by one SQL statement: one round trip, however many tables and rows.

Foreign keys are checked when the statement ends, so rows of one statement may refer to each other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Any

from shared.db.transaction import Transaction

_PARAMETER = re.compile(r"\$(\d+)")


@dataclass(frozen=True, slots=True)
class Write:
    """An INSERT or UPDATE of exactly `rows` rows. Its parameters are numbered from `$1`; a column is one array."""

    statement: str
    arguments: tuple[Any, ...]
    rows: int


class NotAllWritten(Exception):
    """Fewer rows were written than asked for: another transaction was there first. Roll back, and decide again."""


async def write_all(transaction: Transaction, writes: Iterable[Write]) -> None:
    """Write everything by one statement; nothing if there are no rows. Raises NotAllWritten."""
    parts = [write for write in writes if write.rows]
    if not parts:
        return
    arguments = chain.from_iterable(part.arguments for part in parts)
    statement = _combined(tuple((part.statement, len(part.arguments)) for part in parts))
    (written,) = await transaction.fetch(statement, *arguments)
    expected = [part.rows for part in parts]
    if list(written) != expected:
        raise NotAllWritten(f"wrote {list(written)} rows of {expected}")


@cache  # a few combinations of the constants in the code
def _combined(parts: tuple[tuple[str, int], ...]) -> str:
    """One statement that runs each part with its own parameters, and answers how many rows each part wrote."""
    named, counts, offset = [], [], 0
    for number, (statement, parameters) in enumerate(parts):
        named.append(f"part_{number} AS ({_renumbered(statement, offset)} RETURNING 1)")
        counts.append(f"(SELECT count(*) FROM part_{number})")  # noqa: S608 - a number
        offset += parameters
    return f"WITH {', '.join(named)} SELECT {', '.join(counts)}"


def _renumbered(statement: str, offset: int) -> str:
    return _PARAMETER.sub(lambda parameter: f"${int(parameter[1]) + offset}", statement)
