"""A real Prometheus that scrapes a running stack, and the alert rules as it would evaluate them."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from infra.local.environment import METRICS_PORT_OFFSETS
from infra.local.layout import CHECKOUT
from infra.local.stack import Stack
from tests.support.deadlines import deadline
from tests.support.waiting import eventually

OBSERVABILITY = CHECKOUT / "infra" / "observability"
RUNBOOKS = CHECKOUT / "docs" / "runbooks"
SCRAPE_SECONDS = 1


def program(name: str) -> str:
    """The path of `prometheus` or `promtool`. Skips the test where it is not installed; in CI that is a failure."""
    found = shutil.which(name)
    if found is None:
        missing = f"{name} is not installed (Debian: apt install prometheus)"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    return found


@dataclass(frozen=True, slots=True)
class Alert:
    """A rule of alerts.yml."""

    name: str
    expression: str
    runbook: Path


def alerts() -> list[Alert]:
    """Every alert, in the order of the file."""
    rules = yaml.safe_load((OBSERVABILITY / "alerts.yml").read_text(encoding="utf-8"))
    return [
        Alert(rule["alert"], rule["expr"], CHECKOUT / rule["annotations"]["runbook"])
        for group in rules["groups"]
        for rule in group["rules"]
    ]


class Prometheus:
    """A server that has scraped the stack at least once."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=deadline(), trust_env=False)

    def ask(self, expression: str, *, in_seconds: float = 0) -> list[dict[str, Any]]:
        """The series that an expression answers now, or at a later moment if nothing new were scraped until then."""
        answer = self._http.get("/api/v1/query", params={"query": expression, "time": time.time() + in_seconds})
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()["data"]["result"]
        return found

    def names(self) -> set[str]:
        """Of every metric that was scraped."""
        answer = self._http.get("/api/v1/label/__name__/values")
        answer.raise_for_status()
        return set(answer.json()["data"])

    def is_ready(self) -> bool:
        """Whether it answers, and has scraped every process."""
        with suppress(httpx.TransportError, httpx.HTTPStatusError):
            return len(self.ask("up == 1")) == len(METRICS_PORT_OFFSETS)
        return False

    def close(self) -> None:
        """Close the connection."""
        self._http.close()


@contextmanager
def prometheus_of(stack: Stack, directory: Path, port: int) -> Iterator[Prometheus]:
    """A Prometheus with the configuration for the local stack, on this stack's ports and with short pauses."""
    executable = program("prometheus")
    configuration = yaml.safe_load((OBSERVABILITY / "prometheus-local.yml").read_text(encoding="utf-8"))
    pause = f"{SCRAPE_SECONDS}s"
    configuration["global"] = {"scrape_interval": pause, "scrape_timeout": pause, "evaluation_interval": pause}
    configuration["rule_files"] = [str(OBSERVABILITY / "alerts.yml")]
    for scrape in configuration["scrape_configs"]:
        target = f"127.0.0.1:{stack.layout.port_base + METRICS_PORT_OFFSETS[scrape['job_name']]}"
        scrape["static_configs"] = [{"targets": [target]}]
    file = directory / "prometheus.yml"
    file.write_text(yaml.safe_dump(configuration), encoding="utf-8")
    command = [executable, f"--config.file={file}", f"--storage.tsdb.path={directory / 'data'}"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
    with (directory / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    server = Prometheus(f"http://127.0.0.1:{port}")
    try:
        eventually(server.is_ready, "Prometheus has scraped every process", seconds=60)
        yield server
    finally:
        server.close()
        process.terminate()
        process.wait(deadline())
