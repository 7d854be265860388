"""Two of each app, two workers and what they need, on the cluster of the drill."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from pydantic import SecretStr
from sqlalchemy.engine import make_url

from drills.high_availability.cluster import POOLER_PORT, Cluster
from drills.high_availability.network import HERE
from infra.demo.actors import NO_TLS
from infra.local.environment import OWNER, local_secrets, process_environment
from infra.local.errors import StackError
from infra.local.launch import command as launch_command
from infra.local.layout import CHECKOUT
from infra.local.secrets import postgres_password_name
from infra.local.stack import Stack
from infra.postgres.roles import SERVICE_ROLES, create_owner, grant_service_roles
from shared.config import DatabaseSettings
from shared.db.engine import limits

PORT_BASE = 18000
SECOND = 100
"""The ports of the second of each app begin this much above."""
START_SECONDS = 120.0
STOP_SECONDS = 20.0
SETTINGS = {
    "BATUA_PROCESSES": "1",
    "BATUA_BCRYPT_ROUNDS": "4",
    "BATUA_RATE_LIMITS__ENABLED": "false",
    "BATUA_QUOTAS__WITHDRAWALS_PER_TEN_SECONDS": "1000000",
    "BATUA_WELCOME_BALANCE_PAISE": "10000000",
    "BATUA_LOG_LEVEL": "WARNING",
}


@dataclass(frozen=True, slots=True)
class Services:
    """The running services. `outer` is the environment of commands, as the owner of the schema."""

    stack: Stack
    user_apps: tuple[str, str]
    merchant_apps: tuple[str, str]
    database_url: str


@contextmanager
def running(cluster: Cluster, home: Path) -> Iterator[Services]:
    """Migrate, grant, and run everything; nothing runs at the end. Raises StackError."""
    pooled = make_url(f"postgresql://{HERE}:{POOLER_PORT}/{OWNER}")
    direct = make_url(cluster.superuser_url)
    stack = Stack(home, PORT_BASE, SETTINGS)
    secrets = local_secrets(stack.layout)
    passwords = {role: secrets[postgres_password_name(role)] for role in (*SERVICE_ROLES, OWNER)}
    create_owner(cluster.superuser_url, owner=OWNER, password=passwords[OWNER])
    owner_url = direct.set(username=OWNER, password=passwords[OWNER], database=OWNER)
    stack.outer_environment["BATUA_DATABASE_URL"] = owner_url.render_as_string(hide_password=False)
    stack.start({"redis", "dummy_bank"})  # which brings the schema up to date
    processes: list[subprocess.Popen[bytes]] = []
    try:
        grant_service_roles(
            direct.set(database=OWNER).render_as_string(hide_password=False),
            passwords={role: passwords[role] for role in SERVICE_ROLES},
            limits=limits(DatabaseSettings(database_url=SecretStr(stack.outer_environment["BATUA_DATABASE_URL"]))),
        )
        cluster.pooler_password(passwords)
        urls: dict[str, list[str]] = {}
        for number in (0, 1):
            for name in SERVICE_ROLES:
                url = pooled.set(username=name, password=passwords[name]).render_as_string(hide_password=False)
                processes.append(_start(stack, secrets, name, number, url))
                urls.setdefault(name, []).append(f"http://127.0.0.1:{_port(stack, name, number)}")
        for name in ("user_app", "merchant_app", "bank_webhook"):
            for url in urls[name]:
                _until_ready(url)
        yield Services(
            stack,
            (urls["user_app"][0], urls["user_app"][1]),
            (urls["merchant_app"][0], urls["merchant_app"][1]),
            owner_url.render_as_string(hide_password=False),
        )
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        stack.stop()


def _port(stack: Stack, name: str, number: int) -> int:
    return (stack.layout.port(name) or 0) + number * SECOND


def _start(
    stack: Stack, secrets: Mapping[str, str], name: str, number: int, database_url: str
) -> subprocess.Popen[bytes]:
    own = {"BATUA_DATABASE_URL": database_url, "BATUA_DATABASE_POOLER": "transaction"}
    outer = stack.outer_environment | own
    environment = process_environment(name, layout=stack.layout, secrets=secrets, outer=outer)
    environment["BATUA_METRICS_PORT"] = str(int(environment["BATUA_METRICS_PORT"]) + number * SECOND)
    if name == "withdraw_worker":
        command = [*launch_command(name, stack.layout), "--hostname", f"worker{number}@drill"]
    else:
        port, metrics = str(_port(stack, name, number)), str(stack.layout.run / f"metrics-{name}-{number}")
        command = [sys.executable, "-m", f"services.{name}", "--host", "127.0.0.1", "--port", port]
        command += ["--metrics-directory", metrics]
    with (stack.layout.logs / f"{name}-{number}.log").open("ab") as log:
        return subprocess.Popen(
            command, cwd=CHECKOUT, env=os.environ | environment, stdout=log, stderr=log, start_new_session=True
        )


def _until_ready(url: str) -> None:
    ends_at = time.monotonic() + START_SECONDS
    with httpx.Client(timeout=3, trust_env=False, verify=NO_TLS) as client:
        while True:
            try:
                if client.get(f"{url}/readyz").status_code == httpx.codes.OK:
                    return
            except httpx.HTTPError:
                pass
            if time.monotonic() > ends_at:
                raise StackError(f"{url} is not ready after {START_SECONDS:.0f} s")
            time.sleep(0.2)
