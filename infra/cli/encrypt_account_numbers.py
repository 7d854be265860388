"""`batua encrypt-account-numbers`: encrypt what is not, and what an older key encrypted, with the current key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rich.console import Console

from infra.cli.audit import record_command
from infra.cli.failures import exit_with, read_settings
from infra.cli.output import AsJson, bars, show
from infra.local.environment import load_local_environment
from shared.banks.number_keys import AccountNumberSettings, NumberKeys
from shared.config import DatabaseSettings
from shared.db.engine import create_engine, create_sessionmaker
from shared.withdrawals.backfill import Backfill

NAMED = 20
"""Withdrawals whose number cannot be read, by name; of the others the count."""


class EncryptionSettings(DatabaseSettings, AccountNumberSettings):
    """The database, whose owner runs the command, and the keys of account numbers."""


def encrypt_account_numbers(as_json: AsJson = False) -> None:
    """Encrypt every account number that is not encrypted with the current key. It can be interrupted and repeated.

    Exit 0: all of them are; 1: some cannot be read with these keys, and their withdrawals are named.
    """
    load_local_environment()
    settings = read_settings(EncryptionSettings, database_pool_size=1)
    record_command("encrypt-account-numbers")
    console = Console(highlight=False, stderr=as_json)
    with bars(console) as progress:
        bar = progress.add_task("Account numbers")

        def advance(done: int, to_do: int) -> None:
            progress.update(bar, completed=done, total=to_do)

        backfill = asyncio.run(_run(settings, advance))
    key_id = NumberKeys(settings.account_number_keys).current_id
    answer = {"encrypted": backfill.encrypted, "key_id": key_id, "unreadable": backfill.unreadable}
    show(answer, [f"{backfill.encrypted} account numbers encrypted with key {key_id}."], as_json=as_json)
    if backfill.unreadable:
        named = ", ".join(map(str, backfill.unreadable[:NAMED]))
        raise exit_with(f"{len(backfill.unreadable)} cannot be read with these keys, of the withdrawals {named}.")


async def _run(settings: EncryptionSettings, progress: Callable[[int, int], None]) -> Backfill:
    engine = create_engine(settings, application_name="batua encrypt-account-numbers")
    try:
        backfill = Backfill(create_sessionmaker(engine), NumberKeys(settings.account_number_keys))
        await backfill.run(progress)
        return backfill
    finally:
        await engine.dispose()
