"""`batua seed`: sample people and shops with ninety days of history."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from infra.cli.audit import record_command
from infra.cli.failures import exit_with, is_any_bank_configured, read_settings
from infra.cli.output import AsJson, bars, show
from infra.local.environment import load_local_environment
from infra.local.layout import Layout
from infra.seed import simulated_banks, writer
from infra.seed.cast import PASSWORD, PEOPLE, PIN, SHOPS
from infra.seed.plan import plan
from infra.seed.simulated_banks import BankNotTold, Past
from infra.seed.writer import Who
from shared import clock
from shared.auth.errors import EmailTaken
from shared.auth.passwords import Hasher
from shared.banks.number_keys import AccountNumberSettings, NumberKeys
from shared.banks.settings import BankEndpoint, BankSettings
from shared.config import DatabaseSettings, PasswordSettings
from shared.db.engine import SessionMaker, create_engine, create_sessionmaker

STATEMENT_SECONDS = 60.0
"""For one statement; a second `batua seed` waits as long for the first."""


class SeedSettings(DatabaseSettings, PasswordSettings, AccountNumberSettings):
    """The database, how passwords and PINs are hashed, and the keys of account numbers."""


def seed(as_json: AsJson = False) -> None:
    """Add five people, three shops and ninety days of history; a second call only prints the logins again."""
    load_local_environment()
    console = Console(highlight=False, stderr=as_json)
    if os.environ.get("BATUA_ENV") == "production":
        raise exit_with("The sample data is not for production: its passwords are public.")
    settings = read_settings(
        SeedSettings,
        database_pool_size=1,
        database_statement_timeout_seconds=STATEMENT_SECONDS,
        database_lock_timeout_seconds=STATEMENT_SECONDS,
    )
    record_command("seed")
    banks = read_settings(BankSettings).banks if is_any_bank_configured() else {}
    try:
        wallet_ids, past = asyncio.run(_seed(settings, banks, console))
    except EmailTaken:
        raise exit_with("Another person has signed up with an address of the sample data; nothing was added.") from None
    except BankNotTold as error:
        raise exit_with(f"{error}; nothing was added.") from None
    _tell(banks, past, console)
    if as_json:
        show(_answer(wallet_ids), (), as_json=True)
    else:
        _show(console, wallet_ids)


def _tell(banks: Mapping[str, BankEndpoint], past: Past, console: Console) -> None:
    """Our books are complete; now the banks' are completed. Both know each payment by its reference."""
    if not banks:
        console.print("No bank is configured (BATUA_BANK_*), so no bank knows of the on-ramps and withdrawals.")
    try:
        simulated_banks.tell(banks, past)
    except BankNotTold as error:
        raise exit_with(f"The sample data is there, but {error}: run `batua seed` again to complete it.") from None


async def _seed(
    settings: SeedSettings, banks: Mapping[str, BankEndpoint], console: Console
) -> tuple[dict[Who, str], Past]:
    """The wallet ids, and what the banks must know."""
    engine = create_engine(settings, application_name="batua seed")
    try:
        sessionmaker = create_sessionmaker(engine)
        async with sessionmaker() as session:
            found = await writer.wallet_ids(session)
        if found is not None:
            console.print("The sample data is here already; nothing was added.")
        else:
            simulated_banks.require_simulators(banks)
            await _add(sessionmaker, settings, console)
        async with sessionmaker() as session:
            user_app = os.environ.get("BATUA_USER_APP_URL") or Layout.from_environment().url("user_app")
            past = await simulated_banks.past_of(
                session, user_app.rstrip("/"), NumberKeys(settings.account_number_keys)
            )
            return await writer.wallet_ids(session) or {}, past
    finally:
        await engine.dispose()


async def _add(sessionmaker: SessionMaker, settings: SeedSettings, console: Console) -> None:
    hasher = Hasher(settings)
    try:
        with console.status("Hashing passwords and PINs"):
            credentials = await writer.hashed(hasher)
    finally:
        hasher.close()
    with bars(console) as progress:
        async with sessionmaker.begin() as session:
            await writer.only_one(session)
            if await writer.wallet_ids(session) is not None:
                return
            history = plan(clock.now())
            bar = progress.add_task("Ninety days", total=history.movements)
            number_keys = NumberKeys(settings.account_number_keys)
            await writer.write(session, history, credentials, number_keys, lambda made: progress.advance(bar, made))


def _answer(wallet_ids: Mapping[Who, str]) -> dict[str, Any]:
    groups: dict[str, Sequence[Who]] = {"people": PEOPLE, "shops": SHOPS}
    logins = {
        name: [{"name": who.name, "email": who.email, "wallet_id": wallet_ids[who]} for who in group]
        for name, group in groups.items()
    }
    return {**logins, "password": PASSWORD, "pin": PIN}


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
