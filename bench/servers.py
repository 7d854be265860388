"""Serve a reference application as user_app is served: the same server, options and number of processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from bench.listening import processes_of, wait_until_all_listen
from bench.stack import Bench
from infra.local.layout import CHECKOUT
from shared.runtime.serving_settings import ServingSettings
from shared.serving.address import GRACEFUL_SECONDS, Service
from shared.serving.command_line import SUPERVISOR

STOP_SECONDS = 15.0


@dataclass(frozen=True)
class ReferenceServer:
    """Where it answers, and the pids of what was started."""

    url: str
    pids: list[int]


def command(bench: Bench, application: str, port: int) -> list[str]:
    """The command line of user_app's supervisor with another application and port."""
    service = Service(application, "127.0.0.1", port, GRACEFUL_SECONDS, delay_seconds=0)
    more = ["--processes", str(processes_of(bench.stack)), "--log-level", ServingSettings().log_level]
    return [sys.executable, "-m", SUPERVISOR, *service.arguments(), *more]


@contextmanager
def serving(
    bench: Bench, application: str, port: int, environment: Mapping[str, str] | None = None
) -> Iterator[ReferenceServer]:
    """Serve `module:factory` on a port of the bench; it has ended when the block has."""
    log = (bench.folder / "reference.log").open("ab")
    process = subprocess.Popen(
        command(bench, application, port),
        cwd=CHECKOUT,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
    )
    try:
        wait_until_all_listen(process.pid, processes_of(bench.stack))
        yield ReferenceServer(f"http://127.0.0.1:{port}", [process.pid])
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()
