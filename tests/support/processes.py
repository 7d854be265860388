"""A service of several processes that share a port, and connections to one of them in particular."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
from pydantic import BaseModel, SecretStr

from tests.support.deadlines import deadline
from tests.support.ports import free_ports
from tests.support.waiting import eventually

CHECKOUT = Path(__file__).parents[2]
START_SECONDS = 60
TRIES = 200
"""The kernel picks the process of a connection by chance: so often, one of two is missed once in 2^200 times."""


class Processes:
    """`python -m services.<name> --processes <count>`, and its log."""

    def __init__(
        self, name: str, *, port: int, metrics_port: int, count: int, environment: Mapping[str, str], log: Path
    ) -> None:
        self.port = port
        self.metrics_url = f"http://127.0.0.1:{metrics_port}/metrics"
        self.count = count
        self.url = f"http://127.0.0.1:{port}"
        self._log = log
        self._values = {**environment, "BATUA_METRICS_PORT": str(metrics_port)}
        self._command = [sys.executable, "-m", f"services.{name}", "--port", str(port), "--processes", str(count)]
        self.process = self._launch()

    def _launch(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as output:
            return subprocess.Popen(
                self._command,
                cwd=CHECKOUT,
                env=self._values,
                stdout=output,
                stderr=output,
                stdin=subprocess.DEVNULL,
            )

    def restart(self) -> int:
        """Stop it in order and start it anew, as a deployment does; the exit code of the one that stopped."""
        self.process.send_signal(signal.SIGTERM)
        code = self.ended()
        self.process = self._launch()
        self.started()
        return code

    def log(self) -> str:
        """What the processes have written."""
        return self._log.read_text(encoding="utf-8")

    def pids(self) -> list[int]:
        """The processes that serve now: children of the supervisor, or the only process."""
        found = psutil.Process(self.process.pid)
        return [child.pid for child in found.children()] if self.count > 1 else [found.pid]

    def listening_pids(self) -> list[int]:
        """Those of them that accept connections."""
        return [pid for pid in self.pids() if listens(pid, self.port)]

    def started(self) -> Processes:
        """Wait until all of them accept connections."""

        def has_started() -> bool:
            assert self.process.poll() is None, self.log()
            return len(self.listening_pids()) == self.count

        eventually(has_started, "every process accepts connections", seconds=START_SECONDS)
        return self

    def ended(self) -> int:
        """Wait for the end of the service; its exit code."""
        return self.process.wait(deadline(60))

    @asynccontextmanager
    async def client_of(self, pid: int, **options: Any) -> AsyncIterator[httpx.AsyncClient]:
        """A client whose one connection leads to this process, for as long as it is kept alive."""
        for _ in range(TRIES):
            client = httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=deadline(), **options)
            try:
                answer = await client.get("/healthz")
            except httpx.TransportError:  # it led to a process that has just been killed
                await client.aclose()
                continue
            own_port = answer.extensions["network_stream"].get_extra_info("client_addr")[1]
            if _is_connected(pid, own_port):
                try:
                    yield client
                finally:
                    await client.aclose()
                return
            await client.aclose()
        raise AssertionError(f"no connection led to process {pid}")

    def kill_all(self) -> None:
        """Leave nothing running."""
        try:
            family = [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children()]
        except psutil.NoSuchProcess:
            family = []
        for each in family:
            try:
                each.kill()
            except psutil.NoSuchProcess:
                continue
        self.process.wait()


def listens(pid: int, port: int) -> bool:
    """Whether the process accepts connections on this port."""
    return any(each.status == psutil.CONN_LISTEN and each.laddr[1] == port for each in _connections(pid))


def _is_connected(pid: int, client_port: int) -> bool:
    return any(each.raddr and each.raddr[1] == client_port for each in _connections(pid))


def _connections(pid: int) -> list[Any]:
    try:
        return list(psutil.Process(pid).net_connections("tcp"))
    except psutil.Error:
        return []


async def metrics_of(service: Processes) -> str:
    """What one of the processes, by chance, shows on the port of metrics."""
    async with httpx.AsyncClient(trust_env=False, timeout=deadline()) as client:
        return (await client.get(service.metrics_url)).text


async def requests_counted(service: Processes, route: str) -> float:
    """How many requests to this route the service says it has answered."""
    metrics = await metrics_of(service)
    found = re.findall(rf'^batua_http_requests_total\{{[^}}]*route="{route}"[^}}]*\}} (\S+)$', metrics, re.MULTILINE)
    return sum(map(float, found))


@contextmanager
def running_processes(name: str, settings: BaseModel, log: Path, *, count: int = 2) -> Iterator[Processes]:
    """The service with these settings, started; nothing of it is left at the end."""
    with launched_processes(name, settings, log, count=count) as service:
        yield service.started()


@contextmanager
def launched_processes(name: str, settings: BaseModel, log: Path, *, count: int = 2) -> Iterator[Processes]:
    """The same, not waited for: several services start together."""
    port, metrics_port = free_ports(2)
    environment = os.environ | as_environment(settings)
    service = Processes(name, port=port, metrics_port=metrics_port, count=count, environment=environment, log=log)
    try:
        yield service
    finally:
        service.kill_all()


def as_environment(settings: BaseModel) -> dict[str, str]:
    """What was set of these settings, as `BATUA_*` variables."""
    values = {name: getattr(settings, name) for name in settings.model_fields_set}
    return {f"BATUA_{name.upper()}": _as_text(value) for name, value in values.items()}


def _as_text(value: Any) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, list):
        return ",".join(map(_as_text, value))
    return value.model_dump_json() if isinstance(value, BaseModel) else str(value)
