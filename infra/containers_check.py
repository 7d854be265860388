"""Check docker-compose.yml and the Dockerfile by their text, so that no Docker engine is needed.

`python -m infra.containers_check` names each rule that is broken and exits non-zero.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer
import yaml

from infra.local.postgres import MAX_CONNECTIONS
from shared.version import VERSION

ROOT = Path(__file__).resolve().parents[1]
STORES = ("postgres", "redis", "mail")
HTTP_SERVICES = ("user_app", "merchant_app", "bank_webhook", "dummy_bank")
OWN_DATABASE = ("user_app", "merchant_app", "bank_webhook", "withdraw_worker", "scheduler")
SHARED_PORT = ("user_app", "merchant_app", "bank_webhook")
WORKERS = ("withdraw_worker", "scheduler")
EXPECTED = (*STORES, "migrate", *HTTP_SERVICES, *WORKERS)

_SECRET_NAME = re.compile(r"PASSWORD|API_KEY|SECRET|PEPPER|TOKEN_KEYS|DATABASE_URL")
_REQUIRED_VARIABLE = re.compile(r"\$\{[A-Z_]+:\?[^}]+\}")
_VARIABLE = re.compile(r"\$\{?[A-Za-z_]+[^}\s]*\}?")
_PINNED = re.compile(r"^[a-z0-9./_-]+:v?\d+(\.\d+)+[a-z0-9.-]*$")
_Services = Mapping[str, Mapping[str, Any]]


def _present(services: _Services) -> Iterator[str]:
    for name in EXPECTED:
        if name not in services:
            yield f"docker-compose.yml: there is no service {name}"


def _images_pinned(services: _Services) -> Iterator[str]:
    for name, service in services.items():
        image = str(service.get("image", ""))
        if not _PINNED.match(image):
            yield f"docker-compose.yml: {name} does not pin its image to a version: {image or 'none'}"


def _of_this_version(services: _Services) -> Iterator[str]:
    for name, service in services.items():
        image = str(service.get("image", ""))
        if image.startswith("batua:") and image != f"batua:{VERSION}":
            yield f"docker-compose.yml: {name} has the image {image}, and pyproject.toml says {VERSION}"


def _health_checked(services: _Services) -> Iterator[str]:
    for name, service in services.items():
        if name != "migrate" and not service.get("healthcheck", {}).get("test"):
            yield f"docker-compose.yml: {name} has no health check"


def _waits(services: _Services, name: str, other: str, condition: str) -> Iterator[str]:
    dependencies = services.get(name, {}).get("depends_on", {})
    stated = dependencies.get(other, {}).get("condition") if isinstance(dependencies, dict) else None
    if name in services and stated != condition:
        yield f"docker-compose.yml: {name} must wait for {other} with condition {condition}"


def _ordered(services: _Services) -> Iterator[str]:
    for name in ("migrate", *OWN_DATABASE):
        yield from _waits(services, name, "postgres", "service_healthy")
    for name in OWN_DATABASE:
        yield from _waits(services, name, "migrate", "service_completed_successfully")
    for name in WORKERS:
        yield from _waits(services, name, "redis", "service_healthy")


def _secrets_without_default(services: _Services) -> Iterator[str]:
    for name, service in services.items():
        for variable, value in service.get("environment", {}).items():
            is_required = _REQUIRED_VARIABLE.search(str(value)) is not None
            if _SECRET_NAME.search(variable) and not is_required:
                yield f"docker-compose.yml: {name} must take {variable} from the environment, without a default"
            elif _VARIABLE.search(_REQUIRED_VARIABLE.sub("", str(value))):
                yield f"docker-compose.yml: {name} gives {variable} a default, or lets it be empty"


def _local_only(services: _Services) -> Iterator[str]:
    for name, service in services.items():
        for port in service.get("ports", []):
            if not str(port).startswith("127.0.0.1:"):
                yield f"docker-compose.yml: {name} opens port {port} to the whole network"


def _one_process_per_core(services: _Services) -> Iterator[str]:
    for name in SHARED_PORT:
        command = services.get(name, {}).get("command", [])
        if name in services and command[:3] != ["python", "-m", f"services.{name}"]:
            yield f"docker-compose.yml: {name} must be started by python -m services.{name}, which shares out its port"


def _connections_fit(services: _Services) -> Iterator[str]:
    allowed = f"max_connections={MAX_CONNECTIONS}"
    if "postgres" in services and allowed not in services["postgres"].get("command", []):
        yield f"docker-compose.yml: postgres must allow as many connections as the local stack's: {allowed}"


def check_compose(text: str) -> list[str]:
    """Every rule that this docker-compose.yml breaks."""
    services: _Services = yaml.safe_load(text).get("services", {})
    rules = (
        _present,
        _images_pinned,
        _of_this_version,
        _health_checked,
        _ordered,
        _secrets_without_default,
        _local_only,
        _one_process_per_core,
        _connections_fit,
    )
    return [problem for rule in rules for problem in rule(services)]


def check_dockerfile(text: str) -> list[str]:
    """Every rule that this Dockerfile breaks."""
    problems = []
    bases = re.findall(r"^FROM\s+(\S+)", text, flags=re.MULTILINE)
    problems += [f"infra/Dockerfile: base image {base} is not pinned" for base in bases if not _PINNED.match(base)]
    if len(bases) < 2:  # noqa: PLR2004 - one stage installs, one runs
        problems.append("infra/Dockerfile: packages must be installed in a stage of their own")
    users = re.findall(r"^USER\s+(\S+)", text, flags=re.MULTILINE)
    if not users or users[-1].split(":")[0] in {"root", "0"}:
        problems.append("infra/Dockerfile: the image must end as a user that is not root")
    installs = re.findall(r"pip install [^\n]*", text)
    if not installs or any("--require-hashes" not in install for install in installs):
        problems.append("infra/Dockerfile: every pip install needs --require-hashes")
    if not re.search(r"^COPY pyproject\.toml ", text, flags=re.MULTILINE):
        problems.append("infra/Dockerfile: pyproject.toml must be copied, it says which version this is")
    if re.search(r"--(extra-)?index-url", text):
        problems.append("infra/Dockerfile: a registry address belongs to the machine, not to the file")
    return problems


def main() -> None:
    """Check both files of this checkout."""
    problems = check_compose((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    problems += check_dockerfile((ROOT / "infra" / "Dockerfile").read_text(encoding="utf-8"))
    for problem in problems:
        typer.echo(problem, err=True)
    if problems:
        sys.exit(1)
    typer.echo("Containers: every service present, ordered, health-checked, pinned, not root, no default secret.")


if __name__ == "__main__":
    main()
