"""What each process of the local stack finds in its environment.

A `BATUA_*` variable that the caller has set wins over the value computed here. If the caller names a
database or a Redis, the stack uses it and starts no server of its own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from infra.local.layout import Layout
from infra.local.secrets import load_or_create_secrets, postgres_password_name, read_secrets
from shared.banks.table import BANKS

OWNER = "batua"
WORKER_METRICS_PORT_OFFSET = 5
_ROLE_OF = {
    "user_app": "user_app",
    "merchant_app": "merchant_app",
    "bank_webhook": "bank_webhook",
    "withdraw_worker": "withdraw_worker",
    "scheduler": "withdraw_worker",
}
_NEEDS_NO_SETTINGS = ("postgres", "redis", "smtp", "dummy_bank")


def owns_postgres(outer: Mapping[str, str]) -> bool:
    """Whether the stack runs its own database server."""
    return not outer.get("BATUA_DATABASE_URL")


def owns_redis(outer: Mapping[str, str]) -> bool:
    """Whether the stack runs its own Redis."""
    return not outer.get("BATUA_REDIS_URL")


def database_url(layout: Layout, secrets: Mapping[str, str], role: str, database: str = "batua") -> str:
    """The URL with which this role connects to the stack's own database server."""
    password = secrets[postgres_password_name(role)]
    return f"postgresql://{role}:{password}@127.0.0.1:{layout.port('postgres')}/{database}"


def settings(layout: Layout, secrets: Mapping[str, str], role: str = OWNER) -> dict[str, str]:
    """Every `BATUA_*` setting of the local stack, for one database role."""
    values = {
        "BATUA_ENV": "local",
        "BATUA_DATABASE_URL": database_url(layout, secrets, role),
        "BATUA_REDIS_URL": f"redis://127.0.0.1:{layout.port('redis')}/0",
        "BATUA_USER_APP_URL": layout.url("user_app"),
        "BATUA_SMTP_HOST": "127.0.0.1",
        "BATUA_SMTP_PORT": str(layout.port("smtp")),
        "BATUA_WORKER_METRICS_PORT": str(layout.port_base + WORKER_METRICS_PORT_OFFSET),
    }
    for code in BANKS:
        values[f"BATUA_BANK_{code.upper()}_URL"] = f"{layout.url('dummy_bank')}/{code}"
        values[f"BATUA_BANK_{code.upper()}_WEBHOOK_NETWORKS"] = "127.0.0.0/8"
    own = {name: value for name, value in secrets.items() if not name.startswith("BATUA_POSTGRES_")}
    return {**own, **values}


def _bank_settings(layout: Layout, ours: Mapping[str, str]) -> dict[str, str]:
    """The simulator's own settings. It plays the outside world, so it gets no `BATUA_*` setting."""
    values = {
        "DUMMY_BANK_DATABASE": str(layout.home / "dummy_bank.sqlite"),
        "DUMMY_BANK_PUBLIC_URL": layout.url("dummy_bank"),
    }
    for code in BANKS:
        bank = code.upper()
        newest_secret = ours[f"BATUA_BANK_{bank}_WEBHOOK_SECRETS"].split(",")[0].strip()
        values[f"DUMMY_BANK_{bank}_API_KEY"] = ours[f"BATUA_BANK_{bank}_API_KEY"]
        values[f"DUMMY_BANK_{bank}_WEBHOOK_SECRET"] = newest_secret
        values[f"DUMMY_BANK_{bank}_WEBHOOK_URL"] = f"{layout.url('bank_webhook')}/webhooks/{code}"
    return values


def process_environment(
    process: str, *, layout: Layout, secrets: Mapping[str, str], outer: Mapping[str, str]
) -> dict[str, str]:
    """The whole environment of one process; `outer` is the environment in which the stack was started."""
    given = {name: value for name, value in outer.items() if name.startswith("BATUA_") and value}
    ours = {**settings(layout, secrets, _ROLE_OF.get(process, OWNER)), **given}
    environment = {name: value for name, value in outer.items() if not name.startswith("BATUA_")}
    environment["PYTHONUNBUFFERED"] = "1"
    if process == "dummy_bank":
        environment = {**_bank_settings(layout, ours), **environment}
    if process not in _NEEDS_NO_SETTINGS:
        environment |= ours
    return environment | {
        "BATUA_HOME": str(layout.home),
        "BATUA_PORT_BASE": str(layout.port_base),
        "BATUA_PROCESS": process,
    }


def load_local_environment() -> None:
    """Set what a command needs to talk to the stack in `BATUA_HOME`, as the database's owner.

    A variable that is set already keeps its value. Where no stack was ever started, nothing is set.
    """
    layout = Layout.from_environment()
    if not layout.secrets_file.exists():
        return
    for name, value in settings(layout, read_secrets(layout.secrets_file)).items():
        if not os.environ.get(name):
            os.environ[name] = value


def local_secrets(layout: Layout) -> dict[str, str]:
    """This stack's secrets; the first call creates them."""
    layout.make_directories()
    return load_or_create_secrets(layout.secrets_file)
