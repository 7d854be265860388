"""The local stack's own secrets: random, created once, in a file that only its owner can read."""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from shared.banks.table import BANKS

POSTGRES_ROLES = ("postgres", "batua", "user_app", "merchant_app", "bank_webhook", "withdraw_worker")
_FILE_MODE = 0o600


def postgres_password_name(role: str) -> str:
    """The secret that holds this database role's password."""
    return f"BATUA_POSTGRES_PASSWORD_{role.upper()}"


def _webhook_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def _generate() -> dict[str, str]:
    values = {
        "BATUA_TOKEN_KEYS": secrets.token_urlsafe(32),
        "BATUA_PIN_PEPPER": secrets.token_urlsafe(32),
        "BATUA_ACCOUNT_NUMBER_KEYS": f"1:{secrets.token_urlsafe(32)}",
    }
    for bank in map(str.upper, BANKS):
        values[f"BATUA_BANK_{bank}_API_KEY"] = secrets.token_urlsafe(32)
        values[f"BATUA_BANK_{bank}_WEBHOOK_SECRETS"] = _webhook_secret()
    for role in POSTGRES_ROLES:
        values[postgres_password_name(role)] = secrets.token_urlsafe(24)
    return values


def read_secrets(file: Path) -> dict[str, str]:
    """The `KEY=value` lines of a file; blank lines and lines starting with # are skipped."""
    lines = (line.strip() for line in file.read_text(encoding="utf-8").splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in pairs}


def load_or_create_secrets(file: Path) -> dict[str, str]:
    """The secrets of the file; missing ones are created at random and added.

    A value that is in the file never changes: the database's passwords, every PIN and account number depend on it.
    """
    known = read_secrets(file) if file.exists() else {}
    values = {**_generate(), **known}
    if values != known:
        write_secrets(file, values)
    else:
        file.chmod(_FILE_MODE)
    return values


def write_secrets(file: Path, values: Mapping[str, str]) -> None:
    """Replace the file in one step. It is created with mode 0600, so other users can never read it."""
    partial = file.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.writelines(f"{name}={value}\n" for name, value in values.items())
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(file)
