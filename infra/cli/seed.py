"""`batua seed`: sample people and shops with ninety days of history."""

from __future__ import annotations

import asyncio
import os

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from infra.cli.failures import exit_with, read_settings
from infra.local.environment import load_local_environment
from infra.local.layout import Layout
from infra.seed import writer
from infra.seed.cast import PASSWORD, PEOPLE, PIN, SHOPS
from infra.seed.plan import plan
from infra.seed.writer import Who
from shared import clock
from shared.auth.errors import EmailTaken
from shared.auth.passwords import Hasher
from shared.config import DatabaseSettings, PasswordSettings
from shared.db.engine import SessionMaker, create_engine, create_sessionmaker

STATEMENT_SECONDS = 60.0
"""For one statement; a second `batua seed` waits as long for the first."""


class SeedSettings(DatabaseSettings, PasswordSettings):
    """The database and how passwords and PINs are hashed."""


def seed() -> None:
    """Add five people, three shops and ninety days of history; a second call only prints the logins again."""
    load_local_environment()
    console = Console(highlight=False)
    if os.environ.get("BATUA_ENV") == "production":
        raise exit_with("The sample data is not for production: its passwords are public.")
    settings = read_settings(
        SeedSettings,
        database_pool_size=1,
        database_statement_timeout_seconds=STATEMENT_SECONDS,
        database_lock_timeout_seconds=STATEMENT_SECONDS,
    )
    try:
        wallet_ids = asyncio.run(_seed(settings, console))
    except EmailTaken:
        raise exit_with("Another person has signed up with an address of the sample data; nothing was added.") from None
    _show(console, wallet_ids)


async def _seed(settings: SeedSettings, console: Console) -> dict[Who, str]:
    engine = create_engine(settings, application_name="batua seed")
    try:
        sessionmaker = create_sessionmaker(engine)
        async with sessionmaker() as session:
            found = await writer.wallet_ids(session)
        if found is not None:
            console.print("The sample data is here already; nothing was added.")
            return found
        await _add(sessionmaker, settings, console)
        async with sessionmaker() as session:
            return await writer.wallet_ids(session) or {}
    finally:
        await engine.dispose()


async def _add(sessionmaker: SessionMaker, settings: SeedSettings, console: Console) -> None:
    hasher = Hasher(settings)
    try:
        with console.status("Hashing passwords and PINs"):
            credentials = await writer.hashed(hasher)
    finally:
        hasher.close()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as bars:
        async with sessionmaker.begin() as session:
            await writer.only_one(session)
            if await writer.wallet_ids(session) is not None:
                return
            history = plan(clock.now())
            bar = bars.add_task("Ninety days of payments", total=history.movements)
            await writer.write(session, history, credentials, lambda made: bars.advance(bar, made))


def _show(console: Console, wallet_ids: dict[Who, str]) -> None:
    layout = Layout.from_environment()
    has_stack = layout.secrets_file.exists()
    for app, group in (("user_app", PEOPLE), ("merchant_app", SHOPS)):
        title = f"Sign in at {layout.browser_url(app) if has_stack else app}"
        table = Table("name", "email", "wallet id", title=title, title_justify="left")
        for who in group:
            table.add_row(who.name, who.email, wallet_ids[who])
        console.print(table)
    console.print(f"Everyone's password is {PASSWORD} and everyone's PIN is {PIN}.")
