"""Move a database to a revision: what `batua migrate`, the local stack and the tests call."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy.exc import DBAPIError

from shared.config import DatabaseEngine
from shared.db.outages import is_rolled_back, waited_for_a_lock

MAX_ATTEMPTS = 20
"""How often `batua migrate` asks for a lock that it does not get in time, or not without a deadlock."""
LOCKED_PAUSE_SECONDS = 5.0
"""What queued behind such an attempt goes on meanwhile."""

_FOLDER = Path(__file__).parent


def configuration(database_url: str, engine: DatabaseEngine = "postgres") -> Config:
    """Alembic's settings without an ini file, so that they are found wherever the package is installed."""
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    config.attributes["database_url"] = database_url
    config.attributes["database_engine"] = engine
    return config


def upgrade(
    database_url: str,
    revision: str = "head",
    *,
    engine: DatabaseEngine = "postgres",
    attempts: int = 1,
    pause_seconds: float = LOCKED_PAUSE_SECONDS,
    tell: Callable[[str], None] = lambda _: None,
) -> None:
    """Apply every migration up to `revision`, each in a transaction of its own.

    A migration that did not get a lock in time, or was given up in a deadlock, has changed nothing, or can be
    repeated: it is tried again after a pause, and `tell` is told why. Raises what the last of the attempts raised.
    """
    for attempt in range(1, attempts + 1):
        try:
            command.upgrade(configuration(database_url, engine), revision)
        except DBAPIError as error:
            if attempt == attempts or not (waited_for_a_lock(error) or is_rolled_back(error)):
                raise
            tell(f"Another transaction holds a table that a migration needs: again in {pause_seconds:g} s.")
            time.sleep(pause_seconds)
        else:
            return


def downgrade(database_url: str, revision: str = "base", *, engine: DatabaseEngine = "postgres") -> None:
    """Undo migrations down to `revision`."""
    command.downgrade(configuration(database_url, engine), revision)
