"""Errors of Postgres say which rule was broken, not with which row.

Postgres adds the whole row to the error of a broken constraint ("Failing row contains ..."), and the driver makes that
a part of the error's text, which ends up in logs. No setting of the server or the driver leaves it out. `error.detail`
still has it.
"""

from __future__ import annotations

import asyncpg


def make_errors_terse() -> None:
    """From now on the text of the driver's errors, and of what wraps them, is the server's message alone."""
    asyncpg.PostgresError.__str__ = _message


def _message(error: asyncpg.PostgresError) -> str:
    return str(error.args[0]) if error.args else type(error).__name__
