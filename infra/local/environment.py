"""What each process of the local stack finds in its environment.

A `BATUA_*` variable that the caller has set wins over the value computed here. If the caller names a
database or a Redis, the stack uses it and starts no server of its own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from infra.local.layout import Layout
from infra.local.postgres import SUPERUSER
from infra.local.secrets import load_or_create_secrets, postgres_password_name, read_secrets
from shared.banks.table import BANKS

OWNER = "batua"
METRICS_PORT_OFFSETS = {"withdraw_worker": 5, "scheduler": 6, "user_app": 11, "merchant_app": 12, "bank_webhook": 13}
POOLER_PORT = "BATUA_POOLER_PORT"
"""Where a pooler listens, before the stack's own database server. Services go through it, commands do not."""
_ROLE_OF = {
    "user_app": "user_app",
    "merchant_app": "merchant_app",
    "bank_webhook": "bank_webhook",
    "withdraw_worker": "withdraw_worker",
    "scheduler": "withdraw_worker",
}
_NOT_FOR = {"bank_webhook": ("BATUA_ACCOUNT_NUMBER_KEYS",)}
"""It reads no account number, and answers the internet."""
_BEATS = ("withdraw_worker", "scheduler")
_NEEDS_NO_SETTINGS = ("postgres", "redis", "smtp", "dummy_bank")


def owns_postgres(outer: Mapping[str, str]) -> bool:
    """Whether the stack runs its own database server."""
    return not outer.get("BATUA_DATABASE_URL")


def owns_redis(outer: Mapping[str, str]) -> bool:
    """Whether the stack runs its own Redis."""
    return not outer.get("BATUA_REDIS_URL")


def database_url(
    layout: Layout, secrets: Mapping[str, str], role: str, database: str = "batua", *, port: str | None = None
) -> str:
    """The URL with which this role connects to the stack's own database server, or to a pooler on `port` before it."""
    password = secrets[postgres_password_name(role)]
    return f"postgresql://{role}:{password}@127.0.0.1:{port or layout.port('postgres')}/{database}"


def settings(
    layout: Layout, secrets: Mapping[str, str], role: str = OWNER, *, pooler_port: str | None = None
) -> dict[str, str]:
    """Every `BATUA_*` setting of the local stack, for one database role."""
    values = {
        "BATUA_ENV": "local",
        "BATUA_DATABASE_URL": database_url(layout, secrets, role, port=pooler_port),
        "BATUA_REDIS_URL": f"redis://127.0.0.1:{layout.port('redis')}/0",
        "BATUA_USER_APP_URL": layout.url("user_app"),
        "BATUA_MERCHANT_APP_URL": layout.url("merchant_app"),
        "BATUA_SMTP_HOST": "127.0.0.1",
        "BATUA_SMTP_PORT": str(layout.port("smtp")),
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
    pooler_port = outer.get(POOLER_PORT) if process in _ROLE_OF else None
    ours = {**settings(layout, secrets, _ROLE_OF.get(process, OWNER), pooler_port=pooler_port), **given}
    environment = {name: value for name, value in outer.items() if not name.startswith("BATUA_")}
    environment["PYTHONUNBUFFERED"] = "1"
    if process == "dummy_bank":
        environment = {**_bank_settings(layout, ours), **environment}
    if process in METRICS_PORT_OFFSETS:
        ours = {"BATUA_METRICS_PORT": str(layout.port_base + METRICS_PORT_OFFSETS[process]), **ours}
    if process in _BEATS:
        ours = {"BATUA_HEARTBEAT_FILE": str(layout.heartbeat_file(process)), **ours}
    if process not in _NEEDS_NO_SETTINGS:
        environment |= {name: value for name, value in ours.items() if name not in _NOT_FOR.get(process, ())}
    return environment | {
        "BATUA_HOME": str(layout.home),
        "BATUA_PORT_BASE": str(layout.port_base),
        "BATUA_PROCESS": process,
        # Where setproctitle is installed, Celery writes a title over these variables, by which processes are found.
        "SPT_NOENV": "1",
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


def load_administrator_environment() -> None:
    """The same as a superuser of the stack's own database, for what only one may do. A given address stays."""
    layout = Layout.from_environment()
    if layout.secrets_file.exists() and not os.environ.get("BATUA_DATABASE_URL"):
        os.environ["BATUA_DATABASE_URL"] = database_url(layout, read_secrets(layout.secrets_file), SUPERUSER)
    load_local_environment()


def local_secrets(layout: Layout) -> dict[str, str]:
    """This stack's secrets; the first call creates them."""
    layout.make_directories()
    return load_or_create_secrets(layout.secrets_file)
