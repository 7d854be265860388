"""Make what docker-compose.yml needs on this machine: `python -m infra.compose_secrets var/compose.env var/compose ha`.

What follows the two paths are the profiles that are about to start. The first file says where Batua runs and at which
addresses, and holds the secrets; the folder has each secret and each certificate in a file of its own, which containers
mount. What is there stays, so it can run before each start.

Whether money is kept by one Postgres or by a cluster of three (profile `ha`) is decided at the first start: the one
would begin with empty books beside the other.
"""

from __future__ import annotations

import secrets
import sys
from collections.abc import Collection, Mapping
from pathlib import Path

from infra.local.secrets import load_or_create_secrets, postgres_password_name, read_secrets, write_secrets
from infra.postgres.roles import SERVICE_ROLES
from infra.private_certificates import make_certificates
from shared.banks.table import BANKS

SERVERS = ("postgres", "haproxy", "pgbouncer", "broker", "cache", "proxy")
"""Who shows a certificate in the network of the containers. HAProxy's is shown by the nodes, to which it leads."""
CLUSTER = "ha"
"""The profile with three nodes of Postgres."""
SETTINGS = "settings.env"
_SETTINGS_HEAD = """\
# Further settings of every process in the containers, as KEY=value lines; no secrets (docs/configuration.md).
# Traces, with the profile observability:
# BATUA_TRACES_URL=http://tempo:4318
"""
_AUTHORITY = "/run/secrets/authority"
_PASSWORDS = ("BROKER_PASSWORD", "CACHE_PASSWORD", "GRAFANA_PASSWORD", "PATRONI_PASSWORD", "REPLICATOR_PASSWORD")
_POOLER = "BATUA_DATABASE_POOLER"
_SINGLE = "BATUA_SINGLE_POSTGRES"
_HOST, _PORT = "BATUA_PRIMARY_HOST", "BATUA_PRIMARY_PORT"
"""Of the primary itself, which commands and backups ask."""
_ADDRESSES = {
    "BATUA_ENV": "local",
    "BATUA_USER_APP_URL": "https://127.0.0.1:8001",
    "BATUA_MERCHANT_APP_URL": "https://localhost:8002",
    "BATUA_SMTP_HOST": "mail",
    "BATUA_SMTP_PORT": "1025",
    "BATUA_SMTP_TLS": "none",
}
"""Of a demo on one machine. Cookies belong to a host, not to a port, so the two apps need two hosts."""


class OtherDatabase(Exception):
    """The containers would start on another database than the one that has the books; the text says what to do."""


def prepare_compose(file: Path, folder: Path, profiles: Collection[str] = ()) -> None:
    """Create both, or add what they lack. Raises OtherDatabase, and changes nothing then."""
    is_cluster = CLUSTER in profiles
    known = read_secrets(file) if file.exists() else {}
    # An operator may write addresses before the first start, which makes the passwords.
    has_started = postgres_password_name("batua") in known
    was_cluster = known.get(_SINGLE) == "0" if has_started else is_cluster
    if was_cluster != is_cluster:
        raise OtherDatabase(_sentence(file, was_cluster=was_cluster))
    file.parent.mkdir(parents=True, exist_ok=True)
    values = {**_defaults(), **load_or_create_secrets(file), **_database(is_cluster=is_cluster)}
    write_secrets(file, values)
    make_certificates(folder, SERVERS)
    if not (folder / SETTINGS).exists():
        (folder / SETTINGS).write_text(_SETTINGS_HEAD, encoding="utf-8")
    for name, text in _files(values).items():
        _write(folder / name, text)


def _sentence(file: Path, *, was_cluster: bool) -> str:
    if was_cluster:
        return f"By {file}, the cluster of the profile {CLUSTER} has the books: add {CLUSTER} to PROFILES."
    return (
        f"By {file}, one Postgres has the books, and the profile {CLUSTER} would begin with empty ones: "
        f"leave it out of PROFILES, or take the books along (docs/deployment.md)."
    )


def _database(*, is_cluster: bool) -> dict[str, str]:
    if is_cluster:
        return {_SINGLE: "0", _POOLER: "transaction", _HOST: "haproxy", _PORT: "5000"}
    return {_SINGLE: "1", _POOLER: "none", _HOST: "postgres", _PORT: "5432"}


def _defaults() -> dict[str, str]:
    values = _ADDRESSES | {name: secrets.token_urlsafe(24) for name in _PASSWORDS}
    for code in BANKS:
        values |= {
            f"BATUA_BANK_{code.upper()}_URL": f"http://dummy_bank:8000/{code}",
            f"BATUA_BANK_{code.upper()}_PAGES_URL": f"http://127.0.0.1:8004/{code}",
            f"BATUA_BANK_{code.upper()}_WEBHOOK_NETWORKS": "172.30.81.0/24",
        }
    return values


def _files(values: Mapping[str, str]) -> dict[str, str]:
    """Each secret of the containers by the name of its file."""
    files = {name: values[f"BATUA_{name.upper()}"] for name in ("token_keys", "pin_pepper", "account_number_keys")}
    primary = f"{values[_HOST]}:{values[_PORT]}"
    for role in ("batua", *SERVICE_ROLES):
        password = values[postgres_password_name(role)]
        server = "pgbouncer:6432" if role in SERVICE_ROLES and values[_POOLER] == "transaction" else primary
        where = f"{server}/batua?sslmode=verify-full&sslrootcert={_AUTHORITY}"
        files |= {
            f"postgres_password_{role}": password,
            f"{role}_database_url": f"postgresql://{role}:{password}@{where}",
        }
    users = "".join(f'"{role}" "{values[postgres_password_name(role)]}"\n' for role in SERVICE_ROLES)
    files |= {
        "pgbouncer_users": users,
        "patroni_password": values["PATRONI_PASSWORD"],
        "postgres_password_replicator": values["REPLICATOR_PASSWORD"],
    }
    for server, url in (("broker", "broker_url"), ("cache", "redis_url")):
        password = values[f"{server.upper()}_PASSWORD"]
        files |= {f"{server}_password": password, f"{server}_password_file": f"requirepass {password}\n"}
        files[url] = f"rediss://:{password}@{server}:6379/0?ssl_ca_certs={_AUTHORITY}"
    for bank in BANKS:
        webhook_secrets = values[f"BATUA_BANK_{bank.upper()}_WEBHOOK_SECRETS"]
        files |= {
            f"bank_{bank}_api_key": values[f"BATUA_BANK_{bank.upper()}_API_KEY"],
            f"bank_{bank}_webhook_secrets": webhook_secrets,
            f"dummy_bank_{bank}_webhook_secret": webhook_secrets.split(",")[0].strip(),
        }
    return files | {"grafana_password": values["GRAFANA_PASSWORD"]}


def _write(file: Path, text: str) -> None:
    """Only its owner enters the folder; in containers, which mount the files one by one, any user reads them."""
    partial = file.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    partial.touch(mode=0o600)
    partial.write_text(text, encoding="utf-8")
    partial.chmod(0o444)
    partial.replace(file)


if __name__ == "__main__":
    try:
        prepare_compose(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
    except OtherDatabase as error:
        sys.exit(str(error))
