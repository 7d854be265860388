"""Deliver what is due in a process that a test can kill; its arguments are the database's URL and the SMTP port."""

from __future__ import annotations

import asyncio
import sys

from shared.config import DatabaseSettings
from shared.db.engine import create_engine, create_sessionmaker
from shared.outbox.delivery import deliver_due
from shared.outbox.settings import MailSettings
from tests.support.deadlines import deadline


async def _deliver(database_url: str, port: int) -> None:
    engine = create_engine(DatabaseSettings(database_url=database_url), application_name="tests")
    settings = MailSettings(smtp_host="127.0.0.1", smtp_port=port, smtp_timeout_seconds=deadline(60))
    await deliver_due(create_sessionmaker(engine), settings)


if __name__ == "__main__":
    asyncio.run(_deliver(sys.argv[1], int(sys.argv[2])))
