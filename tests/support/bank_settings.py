"""Settings for every bank of the table, so that no test lists the banks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from shared.banks.settings import BankEndpoint
from shared.banks.table import BANKS

NOWHERE = "http://127.0.0.1:1"
"""An address at which nothing listens."""
BANK_API_KEY = "an-api-key-of-the-tests"
SAME_KEY = dict.fromkeys(BANKS, BANK_API_KEY)


def bank_values(banks_url: str = NOWHERE) -> dict[str, Any]:
    """What BankSettings reads: every bank answers below `banks_url` and knows BANK_API_KEY."""
    addresses = {f"bank_{code}_url": f"{banks_url}/{code}" for code in BANKS}
    return addresses | {f"bank_{code}_api_key": SecretStr(BANK_API_KEY) for code in BANKS}


def simulator_values(
    secrets: Mapping[str, str], *, webhook_url: str = NOWHERE, keys: Mapping[str, str] = SAME_KEY
) -> dict[str, Any]:
    """What the simulator reads about each bank: its notices go to `webhook_url`, below `/webhooks`."""
    values: dict[str, Any] = {}
    for code in BANKS:
        values[f"{code}_api_key"] = SecretStr(keys[code])
        values[f"{code}_webhook_secret"] = SecretStr(secrets[code])
        values[f"{code}_webhook_url"] = f"{webhook_url}/webhooks/{code}"
    return values


def endpoints(banks_url: str, keys: Mapping[str, str] = SAME_KEY) -> dict[str, BankEndpoint]:
    """Every bank as the simulator at `banks_url` answers for it."""
    return {
        bank.code: BankEndpoint(bank.code, bank.name, f"{banks_url}/{bank.code}", SecretStr(keys[bank.code]))
        for bank in BANKS.values()
    }
