"""The rules of docker-compose.yml: who is there, in which shape, after whom, and with which secrets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import yaml

from infra.containers_check.dockerfile import PINNED
from infra.local.postgres import MAX_CONNECTIONS, QUIET_LOG
from shared.version import VERSION

REPLICATED = ("user_app", "merchant_app", "bank_webhook")
REPLICAS = tuple(f"{name}_{number}" for name in REPLICATED for number in (1, 2))
WORKERS = ("withdraw_worker", "scheduler")
OWN_DATABASE = (*REPLICAS, *WORKERS)
PROFILES = {
    "simulator": ("dummy_bank",),
    "observability": ("prometheus", "alertmanager", "grafana", "tempo"),
    "backup": ("backup",),
    "ha": ("etcd", "node1", "node2", "node3", "haproxy", "pgbouncer"),
}
OWN_IMAGES = {
    **dict.fromkeys(("migrate", *OWN_DATABASE), ("batua", "production")),
    "dummy_bank": ("batua-simulator", "simulator"),
    **dict.fromkeys(PROFILES["ha"], ("batua-ha", "production")),
}
"""What is built here: the name of its image, and its target in the Dockerfile."""
ALWAYS = ("proxy", "postgres", "broker", "cache", "mail", "migrate", *OWN_DATABASE)
EVICTION = {"broker": ("noeviction",), "cache": ("volatile-ttl", "allkeys-lru")}
"""What each Redis may drop when its memory is full: a message never, a count that is about to expire first."""
PROXY_NOTICES_SECONDS = 5
"""It asks each replica every second whether it is ready, and waits three seconds for the answer."""
NOT_ASKED = ("migrate", "tempo")
"""Without a health check: one ends, and the image of the other has no program that could ask."""
HEALTH_CHECK = ("python", "-m", "infra.healthcheck")
"""A worker answers no ping (`celery inspect` needs remote control, which is off): its own loop touches a file."""
KNOWN_TO_VERSION_1 = ("services", "networks", "volumes", "secrets")
"""Keys of the file that docker-compose 1.29 knows; a key that begins with `x-` is its author's own."""
CAPABILITIES = {"proxy": {"NET_BIND_SERVICE"}, "postgres": {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"}}

_ADDRESS_SECRETS = ("BATUA_DATABASE_URL", "BATUA_REDIS_URL", "BATUA_BROKER_URL")
_SIGN_IN = ("BATUA_TOKEN_KEYS", "BATUA_PIN_PEPPER")
_API_KEYS = ("BATUA_BANK_HDFC_API_KEY", "BATUA_BANK_AXIS_API_KEY")
_NUMBERS = ("BATUA_ACCOUNT_NUMBER_KEYS",)
_WEBHOOKS = ("BATUA_BANK_HDFC_WEBHOOK_SECRETS", "BATUA_BANK_AXIS_WEBHOOK_SECRETS")
SECRETS: Mapping[str, tuple[str, ...]] = {
    "user_app": (*_ADDRESS_SECRETS, *_SIGN_IN, *_NUMBERS, *_API_KEYS),
    "merchant_app": (*_ADDRESS_SECRETS, *_SIGN_IN, *_NUMBERS),
    "bank_webhook": (_ADDRESS_SECRETS[0], *_WEBHOOKS),
    "withdraw_worker": (*_ADDRESS_SECRETS, *_NUMBERS, *_API_KEYS),
    "scheduler": (*_ADDRESS_SECRETS, *_NUMBERS, *_API_KEYS),
}
"""What each process reads, and no other secret: bank_webhook, which answers the internet, has no key of others."""

_IS_SECRET = re.compile(r"PASSWORD|API_KEY|SECRET|PEPPER|TOKEN_KEYS|NUMBER_KEYS|DATABASE_URL|REDIS_URL|BROKER_URL")
_NAMES_A_FILE = re.compile(r"_FILE$|_SECRETS_DIRECTORY$")
_REQUIRED_VARIABLE = re.compile(r"\$\{[A-Z_]+:\?[^}]+\}")
_VARIABLE = re.compile(r"\$\{?[A-Za-z_]+[^}\s]*\}?")
_FOR_SHELL = re.compile(r"(?<!\$)\$\(")


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Where it is there, ten times as fast."""


@dataclass(frozen=True, slots=True)
class Compose:
    """The file, read."""

    text: str
    whole: Mapping[str, Any]

    @property
    def services(self) -> Mapping[str, Mapping[str, Any]]:
        """Each service by its name."""
        return self.whole.get("services") or {}

    def networks_of(self, name: str) -> set[str]:
        """The networks of a service."""
        return set(self.services.get(name, {}).get("networks") or ())

    def secrets_of(self, name: str) -> dict[str, str]:
        """The secrets of a service: what each file is called there, and which secret it is."""
        found = self.services.get(name, {}).get("secrets") or ()
        return dict((each, each) if isinstance(each, str) else (each["target"], each["source"]) for each in found)

    def environment_of(self, name: str) -> Mapping[str, Any]:
        """The variables of a service."""
        found: Mapping[str, Any] = self.services.get(name, {}).get("environment") or {}
        return found

    def command_of(self, name: str) -> list[str]:
        """The words of the command of a service."""
        return [str(word) for word in self.services.get(name, {}).get("command") or ()]


def _kind(name: str) -> str:
    """Of which service this is a replica."""
    return name.rpartition("_")[0] if name in REPLICAS else name


def _present(compose: Compose) -> Iterator[str]:
    for name in (*ALWAYS, *(name for names in PROFILES.values() for name in names)):
        if name not in compose.services:
            yield f"there is no service {name}"
    for name, service in compose.services.items():
        wanted = [profile for profile, names in PROFILES.items() if name in names]
        if service.get("profiles", []) != wanted:
            yield f"{name} must be in {'the profile ' + wanted[0] if wanted else 'no profile'}"


def _read_by_both_versions(compose: Compose) -> Iterator[str]:
    for key in compose.whole:
        if key not in KNOWN_TO_VERSION_1 and not key.startswith("x-"):
            yield f"docker-compose 1.29 does not know the key {key}"
    if _FOR_SHELL.search(compose.text):
        yield "$( must be written $$(, else docker-compose 1.29 does not read the file"


def _images(compose: Compose) -> Iterator[str]:
    for name, service in compose.services.items():
        image = str(service.get("image", ""))
        if name in OWN_IMAGES:
            own, target = OWN_IMAGES[name]
            if image != f"{own}:{VERSION}":
                yield f"{name} has the image {image}, and must have {own}:{VERSION}, the version in pyproject.toml"
            if service.get("build", {}).get("target") != target:
                yield f"{name} must be built with target {target}"
        elif not PINNED.fullmatch(image):
            yield f"{name} does not pin its image to a version and a digest: {image or 'none'}"


def _hardened(compose: Compose) -> Iterator[str]:
    for name, service in compose.services.items():
        if service.get("read_only") is not True:
            yield f"{name} must have a read-only root (read_only: true)"
        if service.get("cap_drop") != ["ALL"]:
            yield f"{name} must give up every capability (cap_drop: [ALL])"
        if added := set(service.get("cap_add", ())) - CAPABILITIES.get(name, set()):
            yield f"{name} must not get the capability {', '.join(sorted(added))}"
        if service.get("security_opt") != ["no-new-privileges:true"]:
            yield f"{name} must gain no privileges (security_opt: no-new-privileges:true)"
        if service.get("privileged") or service.get("network_mode") or service.get("pid"):
            yield f"{name} must not share the machine's privileges, network or processes"


def _bounded(compose: Compose) -> Iterator[str]:
    for name, service in compose.services.items():
        for limit in ("mem_limit", "cpus", "pids_limit"):
            if limit not in service:
                yield f"{name} must have a bound: {limit}"
        if not {"max-size", "max-file"} <= set(service.get("logging", {}).get("options", {})):
            yield f"the log of {name} must be rotated (max-size, max-file)"


def _health_checked(compose: Compose) -> Iterator[str]:
    for name, service in compose.services.items():
        if name not in NOT_ASKED and not service.get("healthcheck", {}).get("test"):
            yield f"{name} has no health check"
    for name in (*OWN_DATABASE, "dummy_bank"):
        beat = compose.environment_of(name).get("BATUA_HEARTBEAT_FILE")
        asked = beat if name in WORKERS else "http://127.0.0.1:8000/healthz"
        test = compose.services.get(name, {}).get("healthcheck", {}).get("test")
        if name in compose.services and test != ["CMD", *HEALTH_CHECK, asked]:
            yield f"the health check of {name} must be {' '.join(HEALTH_CHECK)} {asked}"


def _waits(compose: Compose, name: str, other: str, condition: str) -> Iterator[str]:
    dependencies = compose.services.get(name, {}).get("depends_on", {})
    stated = dependencies.get(other, {}).get("condition") if isinstance(dependencies, dict) else None
    if name in compose.services and stated != condition:
        yield f"{name} must wait for {other} with condition {condition}"


def _ordered(compose: Compose) -> Iterator[str]:
    for name in ("migrate", *OWN_DATABASE):
        yield from _waits(compose, name, "postgres", "service_healthy")
    for name in OWN_DATABASE:
        yield from _waits(compose, name, "migrate", "service_completed_successfully")
    for name in WORKERS:
        yield from _waits(compose, name, "broker", "service_healthy")


def _variables(compose: Compose) -> Iterator[str]:
    for name in compose.services:
        for variable, value in compose.environment_of(name).items():
            if _IS_SECRET.search(variable) and not _NAMES_A_FILE.search(variable):
                yield f"{name} must get {variable} as a file, not in its environment"
            elif _VARIABLE.search(_REQUIRED_VARIABLE.sub("", str(value))):
                yield f"{name} gives {variable} a default, or lets it be empty"
    for name in ("migrate", *OWN_DATABASE):
        told = str(compose.environment_of(name).get("BATUA_ENV"))
        if name in compose.services and not _REQUIRED_VARIABLE.fullmatch(told):
            yield f"{name} must be told BATUA_ENV, without a default"


def _declared_secrets(compose: Compose) -> Iterator[str]:
    declared = compose.whole.get("secrets") or {}
    for name in compose.services:
        for target, source in compose.secrets_of(name).items():
            if source not in declared:
                yield f"{name} has the secret {target} from {source}, which is not declared"
    for name, declaration in declared.items():
        if not str(declaration.get("file", "")).startswith("./var/compose/"):
            yield f"the secret {name} must be a file in ./var/compose, which make compose-up makes"


def _own_secrets(compose: Compose) -> Iterator[str]:
    for name in OWN_DATABASE:
        if name not in compose.services:
            continue
        has, reads = set(compose.secrets_of(name)), set(SECRETS[_kind(name)]) | {"authority"}
        if missing := reads - has:
            yield f"{name} lacks the secret {', '.join(sorted(missing))}"
        if foreign := has - reads:
            yield f"{name} does not read {', '.join(sorted(foreign))} and must not have it"
        role = "withdraw_worker" if name == "scheduler" else _kind(name)
        if compose.secrets_of(name).get("BATUA_DATABASE_URL") != f"{role}_database_url":
            yield f"{name} must connect to Postgres as {role}"
        if compose.environment_of(name).get("BATUA_SECRETS_DIRECTORY") != "/run/secrets":
            yield f"{name} must read its secrets: BATUA_SECRETS_DIRECTORY=/run/secrets"


def _started_right(compose: Compose) -> Iterator[str]:
    for name in REPLICAS:
        module = f"services.{_kind(name)}"
        if name in compose.services and compose.command_of(name)[:3] != ["python", "-m", module]:
            yield f"{name} must be started by python -m {module}, which shares out its port"


def _stopped_right(compose: Compose) -> Iterator[str]:
    for name in REPLICAS:
        stated = str(compose.environment_of(name).get("BATUA_SHUTDOWN_DELAY_SECONDS", ""))
        if name in compose.services and not (stated.isdecimal() and int(stated) >= PROXY_NOTICES_SECONDS):
            yield f"{name} must let the proxy notice its stop: BATUA_SHUTDOWN_DELAY_SECONDS={PROXY_NOTICES_SECONDS}"


def _postgres(compose: Compose) -> Iterator[str]:
    if "postgres" not in compose.services:
        return
    command = compose.command_of("postgres")
    if f"--max_connections={MAX_CONNECTIONS}" not in command:
        yield f"postgres must allow as many connections as the local stack's: --max_connections={MAX_CONNECTIONS}"
    if not str(compose.services["postgres"].get("image")).startswith("postgres:18."):
        yield "postgres must be PostgreSQL 18"
    for name, value in QUIET_LOG.items():
        if f"--{name}={value}" not in command:
            yield f"postgres must log no values of statements: --{name}={value}"
    if "--ssl=on" not in command or not any(word.startswith("--hba_file=") for word in command):
        yield "postgres must speak TLS, and let no one in without: --ssl=on and --hba_file"


def _two_redis(compose: Compose) -> Iterator[str]:
    for name, policies in EVICTION.items():
        if name not in compose.services:
            continue
        command = compose.command_of(name)
        stated = dict(pairwise(command))
        if stated.get("--maxmemory-policy") not in policies:
            yield f"{name} must run with --maxmemory-policy {' or '.join(policies)}"
        if "--maxmemory" not in stated:
            yield f"{name} must run with --maxmemory"
        if stated.get("--port") != "0" or stated.get("--tls-port") != "6379":
            yield f"{name} must speak TLS only: --port 0 --tls-port 6379"
        if "/run/secrets/redis_password_file" not in command:
            yield f"{name} must ask for a password"


_RULES: Sequence[Callable[[Compose], Iterator[str]]] = (
    _present,
    _read_by_both_versions,
    _images,
    _hardened,
    _bounded,
    _health_checked,
    _ordered,
    _variables,
    _declared_secrets,
    _own_secrets,
    _started_right,
    _stopped_right,
    _postgres,
    _two_redis,
)


def read_compose(text: str) -> Compose:
    """The file, read."""
    return Compose(text, yaml.load(text, Loader=_LOADER) or {})  # noqa: S506 - both are safe loaders


def check_compose(text: str) -> list[str]:
    """Every rule of this module that this docker-compose.yml breaks."""
    compose = read_compose(text)
    return [f"docker-compose.yml: {problem}" for rule in _RULES for problem in rule(compose)]
